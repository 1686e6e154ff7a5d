import { own, RelayError } from './errors.ts'
import type { Refusal } from './frames.ts'

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: RelayError) => void
  readonly timer: ReturnType<typeof setTimeout>
  readonly owner: unknown
}

/** Questions by number, whose answers come later by other ways, or not at all. */
export interface Pending {
  /** Asks with a new number. Rejects with `timeout` when nothing has come within `ms`. */
  ask: (ms: number, ask: (id: number) => void, owner?: unknown) => Promise<unknown>
  settle: (id: number | undefined, refused?: Refusal, value?: unknown) => void
  /** Ends all, or those of an owner. */
  fail: (refused: Refusal, owner?: unknown) => void
}

/** `last` is the number before the first. */
export function createPending(last = 0): Pending {
  const all = new Map<number, Waiting>()
  const settle: Pending['settle'] = (id = 0, refused, value) => {
    const waiting = all.get(id)
    if (!waiting) return
    all.delete(id)
    clearTimeout(waiting.timer)
    if (refused) waiting.reject(new RelayError(refused))
    else waiting.resolve(value)
  }
  return {
    settle,
    ask: (ms, ask, owner) =>
      new Promise((resolve, reject) => {
        const id = ++last
        const timer = setTimeout(settle, ms, id, own('timeout'))
        all.set(id, { resolve, reject, timer, owner })
        ask(id)
      }),
    fail(refused, owner) {
      for (const [id, waiting] of all) if (!owner || waiting.owner === owner) settle(id, refused)
    },
  }
}
