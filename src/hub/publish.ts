import type { Bus, Placed } from '../bus/bus.ts'
import { chainedFrame, ephemeralFrame, type OriginEvent } from '../protocol/encode.ts'
import type { ConnectionId, EventId, EventType, SiteId, ThreadId, UserId } from '../protocol/ids.ts'
import { newEventId } from './event-id.ts'
import { clientChainName, siteTopic, threadTopic, userTopic, type Topic } from '../protocol/topic.ts'

/** What an origin asks for, checked. */
export interface PublishRequest {
  readonly to: Target
  readonly type: EventType
  readonly thread: ThreadId | undefined
  /** The exact bytes that the origin sent. */
  readonly data: Buffer
  readonly id: EventId | undefined
  readonly ephemeral: boolean
  readonly except: ConnectionId | undefined
  /** Who is told when the event has been delivered. */
  readonly receiptTo: UserId | undefined
}

export type Target = { readonly thread: ThreadId } | { readonly users: readonly UserId[] } | { readonly site: true }

export interface Published {
  readonly id: EventId
  /** Empty for an ephemeral event, which has no place in a chain. */
  readonly chains: readonly Topic[]
  /** In the order of `chains`. */
  readonly placed: readonly Placed[]
}

/** Makes what an event carries so that somebody can be told of its delivery. Rejects with `bus_down`. */
export type Seal = (address: {
  readonly site: SiteId
  readonly to: UserId
  readonly event: EventId
  readonly thread: ThreadId | undefined
}) => Promise<string>

/**
 * Builds an event's frame, once, and gives it to the bus. `at` is in milliseconds. Returns a promise where somebody has to be
 * asked: it rejects with `bus_down`.
 */
export function publish(
  bus: Bus,
  site: SiteId,
  request: PublishRequest,
  at: number,
  seal: Seal,
): Published | Promise<Published> {
  const { to, receiptTo } = request
  const id = request.id ?? newEventId()
  const thread = 'thread' in to ? to.thread : request.thread
  if (receiptTo === undefined) return place(bus, site, request, { id, thread, at, receipt: undefined })
  return seal({ site, to: receiptTo, event: id, thread }).then(receipt =>
    place(bus, site, request, { id, thread, at, receipt }),
  )
}

function place(
  bus: Bus,
  site: SiteId,
  { to, type, data, ephemeral, id: given, except }: PublishRequest,
  { id, thread, at, receipt }: Pick<OriginEvent, 'id' | 'thread' | 'at' | 'receipt'>,
): Published | Promise<Published> {
  const topics = topicsOf(site, to)
  const event = { id, type, thread, at, receipt, data }
  // All topics of one publication are of one kind, so clients know their chain by the same name: one frame for all.
  const frame = ephemeral ? ephemeralFrame(event) : chainedFrame(clientChainName(topics[0]!), event)
  const placed = bus.publish({ topics, frame, ephemeral, id: given, except })
  const chains = ephemeral ? NONE : topics
  return placed instanceof Promise ? placed.then(later => ({ id, chains, placed: later })) : { id, chains, placed }
}

const NONE: readonly Topic[] = []

function topicsOf(site: SiteId, to: Target): Topic[] {
  if ('thread' in to) return [threadTopic(site, to.thread)]
  if ('users' in to) return to.users.map(user => userTopic(site, user))
  return [siteTopic(site)]
}
