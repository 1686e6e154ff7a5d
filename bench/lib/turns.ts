/**
 * How the load client waits. A receiver that sleeps in epoll costs the *sender* a wake-up per write, so in throughput
 * runs the client does not sleep there but elsewhere, and looks from time to time: the server's core then does the
 * server's work only. In latency runs the client looks all the time.
 */
const cell = new Int32Array(new SharedArrayBuffer(4))
export const RECEIVER_PAUSE_MS = 2
export const PUBLISHER_PAUSE_MS = 0.3
export const NO_PAUSE_MS = 0

/** Calls `turn` once per round of the event loop, and pauses after it, until it is told to stop. */
export function takeTurns(pauseMs: number, turn: () => void = () => {}): () => void {
  let going = true
  const next = (): void => {
    if (!going) return
    turn()
    if (pauseMs > 0) Atomics.wait(cell, 0, 0, pauseMs)
    setImmediate(next)
  }
  setImmediate(next)
  return () => {
    going = false
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}

/** Waits until the condition holds; says what it waited for when it does not within the time. */
export async function until(what: string, condition: () => boolean, withinMs = 15_000): Promise<void> {
  const end = performance.now() + withinMs
  while (!condition()) {
    if (performance.now() > end) throw new Error(`waited ${withinMs / 1000} s in vain until ${what}`)
    await sleep(5)
  }
}
