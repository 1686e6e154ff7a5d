import type { Numbers } from '../observe/numbers.ts'
import type { StartFault } from './fault.ts'

/** From the first process to a worker. */
export type ToWorker = keyof Answers | 'drain'

/** From a worker to the first process. */
export type FromWorker = { readonly ready: true } | { readonly failed: StartFault } | Partial<Answers>

/** What a worker can be asked, and what it answers. */
export interface Answers {
  /** Whether its bus is up. */
  readonly bus: boolean
  readonly numbers: Numbers
}
