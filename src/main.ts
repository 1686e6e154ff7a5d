import type { AddressInfo } from 'node:net'
import { type Health, openAdmin } from './admin/admin.ts'
import type { Steer } from './admin/callbacks.ts'
import { openApi } from './api/api.ts'
import { openBrowserCalls } from './api/browser.ts'
import { answerFor } from './api/call.ts'
import { MemoryBus } from './bus/memory.ts'
import { openRedisBus } from './bus/redis.ts'
import { Callbacks } from './callbacks/callbacks.ts'
import { CallbackKeys } from './callbacks/keys.ts'
import { MemoryQueue } from './callbacks/memory.ts'
import { openPoster } from './callbacks/post.ts'
import { RedisQueue } from './callbacks/redis.ts'
import { listenText } from './config/listen.ts'
import type { Config } from './config/schema.ts'
import { version } from './config/version.ts'
import { Connections } from './connection/connections.ts'
import { openCertificate } from './gateway/certificate.ts'
import { PeerAddresses } from './gateway/peer-address.ts'
import { Gateway } from './gateway/gateway.ts'
import { HttpPort } from './gateway/http-port.ts'
import { loadUws } from './gateway/uws.ts'
import { newEventId } from './hub/event-id.ts'
import { Hub } from './hub/hub.ts'
import { sleep, steadyClock, systemClock } from './lib/clock.ts'
import { Limits } from './limits/limits.ts'
import { RedisShare } from './limits/share.ts'
import { openLog } from './observe/log.ts'
import type { Numbers } from './observe/numbers.ts'
import { openOtlp } from './observe/otlp.ts'
import { PrometheusMetrics } from './observe/prometheus.ts'
import type { SiteRows } from './observe/site-families.ts'
import { siteExposition } from './observe/sites.ts'
import { MemoryPresence } from './presence/memory.ts'
import { Presence } from './presence/presence.ts'
import { RedisPresence } from './presence/redis.ts'
import { MemoryReceipts } from './receipts/memory.ts'
import { Receipts } from './receipts/receipts.ts'
import { RedisReceipts } from './receipts/redis.ts'
import { keepStringsFast } from './lib/fast-strings.ts'
import { keepHeapSmall } from './lib/heap.ts'
import { Keys } from './redis/keys.ts'
import { openRedis } from './redis/redis.ts'
import { RedisLicences } from './trust/licence-share.ts'
import { openTrust, readCallbackKey, readNodeIce, readNodeLimits } from './trust/trust.ts'

const HEARTBEAT = 25
/** The share of the drain time within which clients are asked to leave; the rest is for those who were slow to. */
const DRAIN_SHARE = 0.8

export interface Node {
  readonly busUp: boolean
  numbers(): Promise<Numbers>
  sites(): SiteRows
  /** For the admin port. */
  readonly steer: Steer
  /** Sends the clients elsewhere, lets publishes finish, and closes everything (DESIGN §13). */
  drain(): Promise<void>
}

/**
 * Starts one node: parts bottom up, wires between them, then ports. Rejects before a port is open if anything is wrong.
 * A node with a `worker` number is one of several that share their ports, and has no admin port (workers/).
 */
export async function startNode(config: Config, worker?: number): Promise<Node> {
  keepHeapSmall()
  keepStringsFast()
  const log = openLog(config.logLevel, worker)
  const { uws, version: uwsVersion } = loadUws(config.uwsBinary)
  const build = { version: version(), node: process.versions.node, uws: uwsVersion }
  const metrics = new PrometheusMetrics(build)
  const clock = systemClock
  const { otlp: url } = config
  const traced = { share: config.traceShare, version: build.version, log }
  const tracing = url === undefined ? undefined : await openOtlp({ url, ...traced })

  const { caps, backpressureBytes: backlogCap, ...addresses } = await readNodeLimits(config.limits)
  const ice = await readNodeIce(config.ice)
  const callbackKey = await readCallbackKey(config.callbackKey)
  const keys = new Keys(config.prefix)
  const redis = config.bus.kind === 'memory' ? undefined : openRedis(config.bus)
  const trust = await openTrust({
    clock,
    caps,
    ...(redis === undefined ? {} : { share: new RedisLicences(redis, keys) }),
    warn: (message, facts) => log.warn(facts, message),
    ...(config.sites === undefined ? {} : { sites: config.sites }),
    ...(config.operatorJwks === undefined ? {} : { operatorJwks: config.operatorJwks }),
    ...(config.revoked === undefined ? {} : { revoked: config.revoked }),
  })
  const { tlsCert: cert, tlsKey: key } = config
  const certificate = cert === undefined || key === undefined ? undefined : await openCertificate({ cert, key }, log)
  const server = { uws, certificate, shared: worker !== undefined, log }
  const bus = redis === undefined ? new MemoryBus() : await openRedisBus({ link: redis, keys, log, metrics })
  const share = redis === undefined ? undefined : new RedisShare(redis, keys)
  const limits = new Limits({ clock: steadyClock, metrics, log, addresses, share })
  const callbackKeys = new CallbackKeys({
    key: callbackKey,
    clock,
    log,
    ...(redis === undefined ? {} : { shared: { link: redis, keys } }),
  })
  const callbacks = new Callbacks({
    queue: redis === undefined ? new MemoryQueue(clock) : new RedisQueue(redis, keys),
    poster: openPoster({ allow: config.callbackAllow }),
    key: () => callbackKeys.signing(),
    trust,
    newEventId,
    clock,
    metrics,
    log,
    tracing,
  })
  const receipts = new Receipts({
    store: redis === undefined ? new MemoryReceipts(bus) : new RedisReceipts(redis, keys),
    newEventId,
    delivered: (...facts) => callbacks.delivered(...facts),
    clock,
    metrics,
    log,
  })
  const hub = new Hub({ bus, clock, metrics, log, seal: address => receipts.seal(address), tracing })
  const presence = new Presence({
    store: redis === undefined ? new MemoryPresence() : new RedisPresence({ link: redis, keys, bus, log }),
    clock,
    log,
    tell: (topic, frame) => gateway.publish({ topic, frame, stamp: 0 }),
    crossed: (...fact) => callbacks.crossed(...fact),
  })
  const connections = new Connections({
    trust,
    hub,
    presence,
    receipts,
    callbacks,
    limits,
    clock,
    metrics,
    log,
    heartbeat: HEARTBEAT,
    backlogCap,
  })
  const gateway = new Gateway({
    server,
    connections,
    metrics,
    limits,
    peers: new PeerAddresses(config.trustProxy, log),
    calls: openBrowserCalls({ trust, hub, ice, clock, metrics, log }),
    heartbeat: HEARTBEAT,
    backlogCap,
    listenersChanged: (topic, count) => hub.listenersChanged(topic, count),
  })
  const { callbackAllow } = config
  // Tests of a callback have connections of their own, which may be cut off when the node ends.
  const poster = openPoster({ allow: callbackAllow })
  const api = await openApi({
    hub,
    presence,
    trust,
    callbacks,
    callbackKeys,
    poster,
    callbackAllow,
    limits,
    metrics,
    log,
    clock,
    ice,
    tracing,
    version: build.version,
  })
  const httpPort = new HttpPort(server, api)
  let draining = false
  const health = (): Health => ({ ready: !draining, busUp: bus.up })
  const steer: Steer = (site, deed) => answerFor(callbacks.steer(site, deed), '/callbacks', { metrics, log })
  const admin =
    worker === undefined
      ? openAdmin({ metrics, sites: () => siteExposition(metrics.sites()), health, steer })
      : undefined

  // Events go up through these two, tied once, before a port is open.
  bus.listen(hub)
  hub.attach(gateway, connections.users, topics => presence.released(topics))
  metrics.observe({
    connections: () => connections.size,
    chains: () => hub.chainCount,
    presenceMembers: () => presence.members,
    callbackQueues: () => callbacks.queues,
  })
  metrics.busUp(bus.up)

  log.info({ ...build, bus: config.bus.kind }, 'throughline')
  try {
    if (admin !== undefined) {
      await admin.listen(config.adminListen)
      listening('admin', config.adminListen.host, (admin.server.address() as AddressInfo).port)
    }
    listening('api', config.apiListen.host, await httpPort.listen(config.apiListen.host, config.apiListen.port))
    listening('ws', config.wsListen.host, await gateway.listen(config.wsListen.host, config.wsListen.port))
  } catch (error) {
    await close()
    throw error
  }

  return {
    get busUp() {
      return bus.up
    },
    numbers: () => metrics.numbers(),
    sites: () => metrics.sites(),
    steer,
    async drain() {
      draining = true
      gateway.stopListening()
      const until = clock.now() + config.drainSeconds * 1000
      log.info({ connections: connections.size, seconds: config.drainSeconds }, 'draining')
      connections.drain(Math.round(config.drainSeconds * 1000 * DRAIN_SHARE))
      while (connections.size > 0 && clock.now() < until) await sleep(50)
      await close()
      log.info({}, 'drained')
    },
  }

  /** Closes everything, top down. Calls under way are answered first. */
  async function close(): Promise<void> {
    connections.close()
    // First, since a test of a slow site's callback would hold up the API for a minute.
    await poster.close()
    await httpPort.close()
    gateway.close()
    await presence.close()
    await receipts.close()
    await callbacks.close()
    hub.close()
    limits.close()
    await bus.close()
    redis?.close()
    trust.close()
    certificate?.close()
    await tracing?.close()
    await admin?.close()
  }

  function listening(port: string, host: string, number: number): void {
    log.info({ port, address: listenText({ host, port: number }) }, 'listening')
  }
}
