import type { AddressInfo } from 'node:net'
import { openAdmin } from '../admin/admin.ts'
import { listenText } from '../config/listen.ts'
import { type Config, VARIABLES } from '../config/schema.ts'
import { freePorts } from '../gateway/listen.ts'
import { openLog } from '../observe/log.ts'
import { addUp, CONTENT_TYPE, exposition, type Numbers } from '../observe/numbers.ts'
import type { SiteRows } from '../observe/site-families.ts'
import { addUpSites, siteExposition } from '../observe/sites.ts'
import { problem } from '../protocol/problem.ts'
import { Refusal } from '../protocol/refusal.ts'
import { Seat } from './seat.ts'

export interface Workers {
  /** Drains all workers side by side. */
  drain(): Promise<void>
}

/**
 * Starts the nodes that share this machine's ports, each a process of its own, and holds the admin port for them.
 * `environment` is what they are configured by. Rejects when one cannot start; then the caller is to end the process.
 */
export async function startWorkers(config: Config, environment: NodeJS.ProcessEnv): Promise<Workers> {
  const log = openLog(config.logLevel)
  // Sharing would let a second start by mistake take half of the connections, so both ports must be free now.
  const [ws, api] = await freePorts([config.wsListen, config.apiListen])
  const shared = {
    ...environment,
    [VARIABLES.wsListen.name]: listenText({ ...config.wsListen, port: ws! }),
    [VARIABLES.apiListen.name]: listenText({ ...config.apiListen, port: api! }),
  }
  let past: Numbers = []
  const left = (numbers: Numbers): void => {
    past = addUp([past, numbers])
  }
  let pastSites: SiteRows = new Map()
  const lost = (sites: SiteRows): void => {
    pastSites = addUpSites([pastSites, sites])
  }
  const seats = Array.from(
    { length: config.workers },
    (_, i) => new Seat({ worker: i + 1, environment: shared, log, left, lost }),
  )
  // However this process ends by itself, no worker stays; when it is killed, they notice.
  process.on('exit', () => seats.forEach(seat => seat.kill()))

  let draining = false
  const admin = openAdmin({
    metrics: {
      contentType: CONTENT_TYPE,
      async text() {
        await Promise.all(seats.map(seat => seat.count('numbers')))
        return exposition([past, ...seats.map(seat => seat.numbers)])
      },
    },
    async sites() {
      await Promise.all(seats.map(seat => seat.count('sites')))
      const now = addUpSites(seats.map(seat => seat.sites))
      // Of a site that every worker has forgotten nothing is kept here.
      pastSites = new Map([...pastSites].filter(([site]) => now.has(site)))
      return siteExposition(addUpSites([pastSites, now]))
    },
    async health() {
      const buses = await Promise.all(seats.map(seat => seat.bus()))
      return { ready: !draining && buses.every(bus => bus !== undefined), busUp: buses.every(bus => bus === true) }
    },
    // One that does not answer may have done it all the same: so the next is not asked.
    async steer(site, deed) {
      const seat = seats.find(({ ready }) => ready)
      return (await seat?.steer(site, deed)) ?? problem(new Refusal('bus_down', 'no worker answers', { retryAfter: 2 }))
    },
  })
  await admin.listen(config.adminListen)
  const { port } = admin.server.address() as AddressInfo
  log.info({ port: 'admin', address: listenText({ ...config.adminListen, port }) }, 'listening')
  await Promise.all(seats.map(seat => seat.start()))

  return {
    async drain() {
      draining = true
      log.info({ workers: seats.length }, 'draining')
      await Promise.all(seats.map(seat => seat.drain()))
      await admin.close()
      log.info({}, 'drained')
    },
  }
}
