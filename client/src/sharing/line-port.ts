import type { HubOptions } from '../hub.ts'
import type { Port } from '../port.ts'
import { type FromHost, type FromTab, type Hello, type Line, PING_MS, randomId, VERSION } from './line.ts'
import { hold, locks, whenFree } from './locks.ts'

/** So many pings without an answer, and the host is frozen or hangs. After a sleep one or two answers may come late. */
const MISSED_PINGS = 3

export interface LineOptions {
  readonly hub: HubOptions
  /** Makes itself known to the host. May throw, or call `fail` later. */
  readonly join: (hello: Hello, fail: (why: string) => void) => Line
  /** Nobody opens the line, or who did is gone or answers no more. Nothing comes over this port any more. */
  readonly onlost: (wasOpen: boolean) => void
  /** It is of no use to try this again. Nothing comes over this port any more. */
  readonly onfail: (why: string) => void
}

/** Opens a tab's end of a line. */
export function openLine({ hub, join, onlost, onfail }: LineOptions): Port {
  const ended = new AbortController()
  const { signal } = ended
  let line: Line | undefined
  let isOpen = false
  let missed = 0

  const say = (...letter: FromTab): void => line?.postMessage(letter)
  const end = (): boolean => {
    if (signal.aborted) return false
    ended.abort()
    clearInterval(timer)
    say('bye')
    line?.close()
    return true
  }
  const lose = (): void => {
    if (end()) onlost(isOpen)
  }
  const fail = (why: unknown): void => {
    if (end()) onfail(String(why))
  }
  const timer = setInterval(() => {
    if (++missed > (isOpen ? MISSED_PINGS : 0)) lose()
    else say('ping')
  }, PING_MS)

  const receive = ({ data: [kind, value] }: MessageEvent<FromHost>): void => {
    if (signal.aborted) return
    missed = 0
    if (kind === 'say') port.onmessage(value)
    else if (kind === 'refused') fail(`version ${value} there, ${VERSION} here`)
    else if (kind === 'open') {
      isOpen = true
      if (value) whenFree(value, signal, lose)
      port.onopen()
    }
  }

  // The class cannot be cloned.
  const hello = { version: VERSION, id: randomId(), locked: !!locks, hub: { ...hub, WebSocket: undefined } }
  // Held before anybody can wait for it to be free.
  hold(hello.id, signal)
    .then(() => {
      if (signal.aborted) return
      line = join(hello, fail)
      line.onmessage = receive
    })
    .catch(fail)

  const port: Port = {
    onopen() {},
    onmessage() {},
    post: message => isOpen && say('say', message),
    close: end,
  }
  return port
}
