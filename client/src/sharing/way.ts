import type { Port } from '../port.ts'

/** One way to a hub. */
export interface Way {
  open(): Port
  /** There where a host that does not answer can be replaced. */
  steal?(): void
  close(): void
}
