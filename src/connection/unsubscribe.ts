import type { ClientFrame } from '../protocol/decode.ts'
import { presenceTopic, threadTopic } from '../protocol/topic.ts'
import type { Connection } from './connection.ts'
import { readThreads } from './subscribe.ts'

/** `unsubscribe`: hears no more of these threads, whether it did before or not. */
export function unsubscribe(connection: Connection, { id, fields }: ClientFrame): void {
  const { site } = connection.identity!
  const threads = readThreads(fields.threads, site.limits.threads)
  connection.leave(threads.flatMap(thread => [threadTopic(site.id, thread), presenceTopic(site.id, thread)]))
  connection.send({ op: 'unsubscribed', id })
}
