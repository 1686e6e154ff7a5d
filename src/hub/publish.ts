import type { Bus, Publication } from '../bus/bus.ts'
import { chainedFrame, ephemeralFrame } from '../protocol/encode.ts'
import type { ConnectionId, EventId, EventType, SiteId, ThreadId, UserId } from '../protocol/ids.ts'
import { newEventId } from './event-id.ts'
import { chainName, clientChainName, siteTopic, threadTopic, userTopic, type Topic } from '../protocol/topic.ts'

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
  /** By chain, as origins name them; empty for an ephemeral event. */
  readonly stamps: Record<string, number>
  /** There when every chain had seen the id. */
  readonly duplicate?: true
}

/** Makes what an event carries so that somebody can be told of its delivery. Rejects with `bus_down`. */
export type Seal = (address: {
  readonly site: SiteId
  readonly to: UserId
  readonly event: EventId
  readonly thread: ThreadId | undefined
}) => Promise<string>

/** Builds an event's frame, once, and gives it to the bus. Rejects with `bus_down`. `at` is in milliseconds. */
export async function publish(
  bus: Bus,
  site: SiteId,
  request: PublishRequest,
  at: number,
  seal: Seal,
): Promise<Published> {
  const { to, type, data, ephemeral } = request
  const topics = topicsOf(site, to)
  const id = request.id ?? newEventId()
  const thread = 'thread' in to ? to.thread : request.thread
  const { receiptTo } = request
  const receipt = receiptTo === undefined ? undefined : await seal({ site, to: receiptTo, event: id, thread })
  const event = { id, type, thread, at, receipt, data }
  const publication: Publication = {
    topics,
    // All topics of one publication are of one kind, so clients know their chain by the same name: one frame for all.
    frame: ephemeral ? ephemeralFrame(event) : chainedFrame(clientChainName(topics[0]!), event),
    ephemeral,
    id: request.id,
    except: request.except,
  }
  const placed = await bus.publish(publication)
  const stamps: Record<string, number> = {}
  if (!ephemeral) for (let i = 0; i < topics.length; i++) stamps[chainName(topics[i]!)] = placed[i]!.stamp
  return placed.every(({ duplicate }) => duplicate) ? { id, stamps, duplicate: true } : { id, stamps }
}

function topicsOf(site: SiteId, to: Target): Topic[] {
  if ('thread' in to) return [threadTopic(site, to.thread)]
  if ('users' in to) return to.users.map(user => userTopic(site, user))
  return [siteTopic(site)]
}
