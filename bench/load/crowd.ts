/** Opening many receivers, and proof that none of them missed anything. */
import type { Running } from '../lib/contestant.ts'
import { type Expected, Receiver } from '../lib/receiver.ts'
import { until } from '../lib/turns.ts'

const AT_ONCE = 200

/** Opens connections for the users `from` up to `to`, each in its threads. */
export async function open(
  server: Running,
  expected: Expected,
  [from, to]: readonly [from: number, to: number],
  threadsOf: (user: number) => string[],
  joining: Running['joining'] = server.joining,
): Promise<Receiver[]> {
  const receivers: Receiver[] = []
  for (let user = from; user < to; user += AT_ONCE) {
    const batch = Array.from({ length: Math.min(AT_ONCE, to - user) }, (_, index) => user + index)
    const opening = batch.map(member => Receiver.open(server, expected, joining(member, threadsOf(member))))
    receivers.push(...(await Promise.all(opening)))
  }
  return receivers
}

export function close(receivers: readonly Receiver[]): void {
  for (const receiver of receivers) receiver.close()
}

export function eventsOf(receivers: readonly Receiver[]): number {
  let sum = 0
  for (const { events } of receivers) sum += events
  return sum
}

/** Nobody may be faster by losing: waits until each receiver has got each event once, and says who has not. */
export async function complete(receivers: readonly Receiver[], expected: (receiver: number) => number): Promise<void> {
  const fault = (): Error | undefined => receivers.find(receiver => receiver.fault)?.fault
  const missing = (): number => receivers.filter(({ events }, index) => events < expected(index)).length
  try {
    await until('all arrived', () => fault() !== undefined || missing() === 0)
  } catch {
    throw new Error(`${missing()} of ${receivers.length} receivers incomplete`)
  }
  const found = fault()
  if (found !== undefined) throw found
  if (receivers.some(({ events }, index) => events > expected(index))) throw new Error('an event came twice')
}
