const GATHER_MS = 250
const AT_ONCE = 100
/** More are not kept: there is no connection to send them to. */
const MOST = 1000

export interface Receipts {
  add: (receipt: string) => void
  /** Sends what has come, if there is a connection. */
  flush: () => void
  close: () => void
}

/** Gathers receipts for a moment, and until there is a connection. */
export function createReceipts(isOpen: () => boolean, send: (receipts: readonly string[]) => void): Receipts {
  let timer: ReturnType<typeof setTimeout> | undefined
  const waiting = new Set<string>()
  const flush = (): void => {
    clearTimeout(timer)
    timer = undefined
    if (!isOpen()) return
    const list = [...waiting]
    waiting.clear()
    while (list.length > 0) send(list.splice(0, AT_ONCE))
  }
  return {
    add(receipt) {
      if (waiting.size < MOST) waiting.add(receipt)
      timer ??= setTimeout(flush, GATHER_MS)
    },
    flush,
    close() {
      waiting.clear()
      flush()
    },
  }
}
