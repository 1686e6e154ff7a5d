import type { ClientFrame } from '../protocol/decode.ts'
import { threadTopic } from '../protocol/topic.ts'
import type { Connection } from './connection.ts'
import { readThreads } from './subscribe.ts'

/** `unsubscribe`: hears no more of these threads, whether it did before or not. */
export function unsubscribe(connection: Connection, { id, fields }: ClientFrame): void {
  const { site } = connection.identity!
  connection.leave(readThreads(fields.threads, site.limits.threads).map(thread => threadTopic(site.id, thread)))
  connection.send({ op: 'unsubscribed', id })
}
