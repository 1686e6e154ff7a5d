interface Wait {
  /** How long to wait, 30 s if left out: it ends a hang, and a slow machine is none. */
  ms?: number
  /** What is waited for, as the end of "waited … for"; a function can tell what was there instead. */
  what: string | (() => string)
}

const PAUSE_MS = 10

/** Returns what `condition` returns as soon as that is truthy; throws when it is not within `ms`. */
export async function until<T>(condition: () => T | Promise<T>, { ms = 30_000, what }: Wait): Promise<NonNullable<T>> {
  const end = performance.now() + ms
  for (;;) {
    const value = await condition()
    if (value) return value
    if (performance.now() > end) throw new Error(`waited ${ms} ms for ${typeof what === 'string' ? what : what()}`)
    await new Promise(resolve => setTimeout(resolve, PAUSE_MS))
  }
}
