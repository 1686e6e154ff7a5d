import { RedisBus } from '../../src/bus/redis.ts'
import type { Connection } from '../../src/connection/connection.ts'
import { join } from '../../src/connection/join.ts'
import type { Services } from '../../src/connection/services.ts'
import { Hub } from '../../src/hub/hub.ts'
import type { OutgoingEvent, Outlet } from '../../src/hub/outlet.ts'
import type { Log } from '../../src/observe/log.ts'
import type { Metrics } from '../../src/observe/metrics.ts'
import { parseSiteId, parseThreadId } from '../../src/protocol/ids.ts'
import type { JsonObject } from '../../src/protocol/raw-json.ts'
import { siteTopic, threadTopic, type Topic } from '../../src/protocol/topic.ts'
import { Keys } from '../../src/redis/keys.ts'
import { ScriptedLink, type Server } from './scripted-redis.ts'
import type { VirtualTime } from './virtual-time.ts'

export const SITE = parseSiteId('acme')!
export const THREADS = ['1', '2', '3'].map(id => parseThreadId(id)!)
export const CHAINS = THREADS.map(thread => `thread:${thread}`)
const TOPICS = THREADS.map(thread => threadTopic(SITE, thread))
const SITE_TOPIC = siteTopic(SITE)

const nothing = (): void => {}
const metrics = new Proxy({}, { get: () => nothing }) as Metrics
const keys = new Keys('tl')

/** One process of the relay, but for its ports. */
export class Node implements Outlet {
  readonly link: ScriptedLink
  readonly bus: RedisBus
  readonly hub: Hub
  readonly sockets = new Set<Socket>()
  #outbox: OutgoingEvent[] = []

  constructor(time: VirtualTime, primary: () => Server, log: Log) {
    this.link = new ScriptedLink(primary)
    this.bus = new RedisBus({ link: this.link, keys, log, metrics })
    const seal = async (): Promise<string> => ''
    this.hub = new Hub({ bus: this.bus, clock: { now: () => time.now }, metrics, log, seal })
    this.bus.listen(this.hub)
    this.hub.attach(this, { told: nothing, revoked: nothing, direct: nothing }, nothing)
  }

  publish(item: OutgoingEvent): void {
    // As the gateway does: an event that comes alone goes at once, others are gathered for the turn of the loop.
    if (this.#outbox.push(item) === 1) setImmediate(() => this.flush())
  }

  flush(): void {
    for (const { topic, frame } of this.#outbox.splice(0)) {
      for (const socket of this.sockets) if (socket.topics.has(topic)) socket.inbox.push(frame.toString('latin1'))
    }
  }

  subscribers(topic: Topic): number {
    let count = 0
    for (const { topics } of this.sockets) if (topics.has(topic)) count++
    // The site's own topic, which every connection has.
    return topic === SITE_TOPIC ? this.sockets.size : count
  }

  owns(): boolean {
    return false
  }

  broadcast(frame: string): void {
    this.flush()
    for (const socket of this.sockets) socket.inbox.push(frame)
  }

  end(): void {
    this.hub.close()
    void this.bus.close()
    this.link.close()
    for (const socket of this.sockets) socket.close()
  }
}

/** A WebSocket: what the node sends waits here until its client reads it. */
export class Socket {
  readonly topics = new Set<Topic>()
  readonly inbox: string[] = []
  readonly node: Node
  open = true

  constructor(node: Node) {
    this.node = node
    node.sockets.add(this)
  }

  async subscribe(since: JsonObject): Promise<void> {
    const { hub } = this.node
    await hub.follow(TOPICS)
    if (!this.open) return
    // Only these two are looked at.
    const chains = join(this as unknown as Connection, TOPICS, since, { hub } as Services)
    this.inbox.push(`{"op":"subscribed","chains":${chains}}`)
    if (!hub.busUp) this.inbox.push('{"op":"status","bus":"down"}')
  }

  /** What join() asks of a connection. */
  join(topics: readonly Topic[]): void {
    for (const topic of topics) {
      this.topics.add(topic)
      if (this.node.subscribers(topic) === 1) this.node.hub.listenersChanged(topic, 1)
    }
  }

  close(): void {
    this.open = false
    this.node.sockets.delete(this)
    for (const topic of this.topics) if (this.node.subscribers(topic) === 0) this.node.hub.listenersChanged(topic, 0)
  }
}
