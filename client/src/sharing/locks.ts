/** Missing in insecure contexts and before Chrome 69, Firefox 96, Safari 15.4. */
export const locks: LockManager | undefined = globalThis.navigator?.locks

/**
 * Resolves as soon as the lock is held, which it then is until `signal` aborts or the page or worker is gone, however
 * it went; at once where there are no locks. Rejects when aborted before, or where locks are denied (blocked storage).
 */
export function hold(name: string, signal: AbortSignal): Promise<void> {
  return new Promise((held, refused) => {
    if (locks === undefined) return held()
    const untilAborted = (): Promise<void> => {
      held()
      // The browser may have granted it when it was aborted here; then nothing would ever give it back.
      if (signal.aborted) return Promise.resolve()
      return new Promise(resolve => signal.addEventListener('abort', () => resolve()))
    }
    locks.request(name, { signal }, untilAborted).catch(refused)
  })
}

/** Calls `then` when whoever holds the lock is gone. */
export function whenFree(name: string, signal: AbortSignal, then: () => void): void {
  locks?.request(name, { signal }, then).catch(() => {}) // aborted: nobody cares any more
}
