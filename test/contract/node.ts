/** What the bus suites speak in: nodes that remember what they heard, and events to publish. */
import type { Test } from 'tap'
import type { Bus, BusListener, Delivery, Placed, Publication, Recipients } from '../../src/bus/bus.ts'
import type { Notice } from '../../src/bus/notice.ts'
import { chainedFrame, type FramePieces } from '../../src/protocol/encode.ts'
import { parseEventId, parseEventType, parseSiteId, parseThreadId } from '../../src/protocol/ids.ts'
import { threadTopic, type Topic } from '../../src/protocol/topic.ts'
import { until } from '../support/until.ts'

/** Opens one more node of the deployment that has this prefix. */
export type OpenBus = (prefix: string) => Promise<Bus>

let prefixes = 0

/** Every prefix that the suites use begins with this. */
export const PREFIX = 'tl-'

/** Returns a prefix that no other test uses, so that tests can share a Redis. */
export function newPrefix(): string {
  return `${PREFIX}${++prefixes}`
}

export class Ear implements BusListener {
  readonly heard: Delivery[] = []
  readonly changes: boolean[] = []
  readonly directed: { topic: Topic; frame: Buffer; to: Recipients }[] = []
  readonly gaps: { topic: Topic; head: number }[] = []
  readonly notices: { topic: Topic; notice: Notice; at: number }[] = []
  readonly eraChanges: ((topic: Topic) => boolean)[] = []

  deliver(delivery: Delivery): void {
    this.heard.push(delivery)
  }

  busChanged(up: boolean): void {
    this.changes.push(up)
  }

  direct(topic: Topic, frame: Buffer, to: Recipients): void {
    this.directed.push({ topic, frame, to })
  }

  gap(topic: Topic, head: number): void {
    this.gaps.push({ topic, head })
  }

  notice(topic: Topic, notice: Notice, at: number): void {
    this.notices.push({ topic, notice, at })
  }

  erasChanged(concerns: (topic: Topic) => boolean): void {
    this.eraChanges.push(concerns)
  }

  of(topic: Topic): Delivery[] {
    return this.heard.filter(delivery => delivery.topic === topic)
  }

  async hears(topic: Topic, stamp: number): Promise<Delivery> {
    return until(() => this.of(topic).find(delivery => delivery.stamp === stamp), {
      what: `${topic} to be delivered with stamp ${stamp}`,
    })
  }
}

/** Returns a listener like `ear`, but for what it does when the bus goes up or down. */
export function earThat(ear: Ear, busChanged: (up: boolean) => void): BusListener {
  return Object.assign(Object.create(ear) as Ear, { busChanged })
}

/** Subscribes, and returns the heads. */
export async function followAll(bus: Bus, topics: readonly Topic[]): Promise<number[]> {
  return (await bus.subscribe(topics)).map(({ head }) => head)
}

/** Returns heads, as `Bus.read` has them. */
export async function readHeads(bus: Bus, topics: readonly Topic[]): Promise<number[]> {
  return (await bus.read(topics)).map(({ head }) => head)
}

export interface Node {
  readonly bus: Bus
  readonly ear: Ear
}

/** Opens a node for as long as `t` runs, and waits until it is up. */
export async function openNode(t: Test, open: OpenBus, prefix: string): Promise<Node> {
  const node = await openDeaf(t, open, prefix)
  await until(() => node.bus.up, { what: 'the bus to be up' })
  return node
}

/** Opens a node whose bus may not be there yet. */
export async function openDeaf(t: Test, open: OpenBus, prefix: string): Promise<Node> {
  const bus = await open(prefix)
  t.teardown(() => bus.close())
  const ear = new Ear()
  bus.listen(ear)
  return { bus, ear }
}

export function thread(id: string, site = 'acme'): Topic {
  return threadTopic(valid(parseSiteId(site)), valid(parseThreadId(id)))
}

export function threads(count: number): Topic[] {
  return Array.from({ length: count }, (_, i) => thread(String(i)))
}

export function event(data: string | Buffer = '"hello"'): FramePieces {
  return chainedFrame('thread:42', {
    id: valid(parseEventId('e1')),
    type: valid(parseEventType('message')),
    thread: undefined,
    receipt: undefined,
    at: 1_700_000_000_000,
    data: Buffer.from(data as string),
  })
}

/** Returns the bytes that clients must see. */
export function spliced({ before, after, data }: FramePieces, stamp: number, prev: number): Buffer {
  return Buffer.concat([Buffer.from(`${before}${stamp},"prev":${prev}${after}`), data, Buffer.from('}')])
}

/** Returns what a delivered frame says about its place. */
export function placeOf({ frame }: Delivery): { stamp: string; prev: string } {
  const found = /"stamp":([^,]*),"prev":([^,]*),/.exec(frame.toString('latin1'))
  return { stamp: found?.[1] ?? 'none', prev: found?.[2] ?? 'none' }
}

/** Publishes one event in one chain. */
export async function say(bus: Bus, topic: Topic, more: Partial<Publication> = {}): Promise<Placed> {
  const [placed] = await sayAll(bus, [topic], more)
  return valid(placed)
}

/** Publishes one event in many chains. */
export async function sayAll(
  bus: Bus,
  topics: readonly Topic[],
  more: Partial<Publication> = {},
): Promise<readonly Placed[]> {
  return await bus.publish({ topics, frame: event(), ephemeral: false, id: undefined, except: undefined, ...more })
}

/** Subscribes to one topic and returns its head. */
export async function follow(bus: Bus, topic: Topic): Promise<number> {
  const [known] = await bus.subscribe([topic])
  return valid(known).head
}

let fences = 0

/**
 * Resolves when all that was published before has arrived at `node`, or never will. What one Redis sends a node keeps
 * its order, so an event that was published later has to come later; 40 topics are enough to reach every master.
 */
export async function fence({ bus, ear }: Node): Promise<void> {
  const site = `fence-${++fences}`
  const topics = Array.from({ length: 40 }, (_, i) => thread(String(i), site))
  await bus.subscribe(topics)
  await sayAll(bus, topics)
  await until(() => topics.every(topic => ear.of(topic).length === 1), { what: 'the fence to be heard' })
}

export function valid<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the test itself is wrong: a value is missing')
  return value
}
