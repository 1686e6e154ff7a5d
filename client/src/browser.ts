import type { Port } from './port.ts'

export const isVisible = (): boolean => globalThis.document?.visibilityState !== 'hidden'

/** Tells the hub what the browser says. Returns a function that ends it. */
export function listen(port: Port): () => void {
  // None of these are there in Node.
  const { document, addEventListener, removeEventListener } = globalThis
  const onvisible = (): void => port.post({ op: 'visible', isVisible: isVisible() })
  const ononline = (): void => port.post({ op: 'online' })
  document?.addEventListener('visibilitychange', onvisible)
  addEventListener?.('online', ononline)
  return () => {
    document?.removeEventListener('visibilitychange', onvisible)
    removeEventListener?.('online', ononline)
  }
}
