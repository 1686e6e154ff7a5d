import { randomId } from '../lib/random.ts'
import type { EventId } from '../protocol/ids.ts'

// Unique in the cluster without asking it, and of one length, so that frames of like events are.
const PROCESS = randomId(9)
let count = 0

export function newEventId(): EventId {
  return `${PROCESS}.${(count++).toString(36).padStart(9, '0')}` as EventId
}
