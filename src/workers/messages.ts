import type { Deed } from '../callbacks/steer.ts'
import type { Numbers } from '../observe/numbers.ts'
import type { SiteRows } from '../observe/site-families.ts'
import type { HttpAnswer } from '../protocol/http.ts'
import type { SiteId } from '../protocol/ids.ts'
import type { StartFault } from './fault.ts'

/** From the first process to a worker. */
export type ToWorker = keyof Answers | 'drain' | Steering

/** From a worker to the first process. */
export type FromWorker = { readonly ready: true } | { readonly failed: StartFault } | Steered | Partial<Answers>

/** What a worker can be asked, and what it answers. */
export interface Answers {
  /** Whether its bus is up. */
  readonly bus: boolean
  readonly numbers: Numbers
  readonly sites: SiteRows
}

/** What the admin port was asked for about a site's callbacks, */
export interface Steering {
  /** Which of them it is. */
  readonly call: number
  readonly site: SiteId
  readonly deed: Deed | 'show'
}

/** and the answer. */
export interface Steered {
  readonly call: number
  readonly steered: HttpAnswer
}
