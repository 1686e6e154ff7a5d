import { isObject, type Json, type JsonObject } from '../protocol/raw-json.ts'
import { Refusal } from '../protocol/refusal.ts'
import type { Topic } from '../protocol/topic.ts'
import type { Connection } from './connection.ts'
import type { Services } from './services.ts'

/**
 * Subscribes a connection to topics that are followed, and returns what to answer of their chains, as JSON. Send the answer without
 * waiting for anything: no event of these chains may come before it, none is missed after.
 */
export function join(connection: Connection, topics: readonly Topic[], since: JsonObject, { hub }: Services): string {
  // What was delivered until now is behind the heads that follow, so it must not reach who joins now.
  hub.flush()
  connection.join(topics)
  return hub.states(topics, since)
}

const NO_STAMPS = Object.freeze(Object.create(null) as JsonObject)

/** Reads `since`: stamps by chain, each judged on its own (CONTRACT 3). */
export function readSince(value: Json | undefined): JsonObject {
  if (value === undefined) return NO_STAMPS
  if (!isObject(value)) throw new Refusal('bad_field', 'since is an object of stamps by chain')
  return value
}

/** Returns the start of an answer that is written by hand: an answer to a frame without an id has none. */
export function idField(id: number | undefined): string {
  return id === undefined ? '' : `"id":${id},`
}
