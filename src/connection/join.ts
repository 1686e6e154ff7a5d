import type { ChainState } from '../protocol/chain.ts'
import { isObject, type Json, type JsonObject } from '../protocol/raw-json.ts'
import { Refusal } from '../protocol/refusal.ts'
import { clientChainName, type Topic } from '../protocol/topic.ts'
import type { Connection } from './connection.ts'
import type { Services } from './services.ts'

/**
 * Subscribes a connection to topics and returns what to answer of their chains, under the names that clients use.
 * Send the answer without waiting for anything else: no event of these chains may come before it, none is missed after.
 */
export async function join(
  connection: Connection,
  topics: readonly Topic[],
  since: JsonObject,
  { hub }: Services,
): Promise<Record<string, ChainState>> {
  await hub.follow(topics)
  // What was delivered until now is behind the heads that follow, so it must not reach who joins now.
  hub.flush()
  connection.join(topics)
  return Object.fromEntries(
    topics.map(topic => {
      const name = clientChainName(topic)
      return [name, hub.state(topic, since[name])]
    }),
  )
}

/** Reads `since`: stamps by chain, each judged on its own (CONTRACT 3). */
export function readSince(value: Json | undefined): JsonObject {
  if (value === undefined) return Object.create(null) as JsonObject
  if (!isObject(value)) throw new Refusal('bad_field', 'since is an object of stamps by chain')
  return value
}
