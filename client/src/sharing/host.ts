import type { Hub } from '../hub.ts'
import type { TabPort } from '../port.ts'
import { type FromHost, type FromTab, type Hello, type Line, PING_MS } from './line.ts'
import { locks, whenFree } from './locks.ts'

/** A tab without locks that was silent for so long is gone: more than two pings of a throttled one. */
const SILENCE_MS = 150_000

/** Where the hub lives: in the worker, or in the leading tab. Takes the lines of tabs and learns when they are gone. */
export interface Host {
  accept(line: Line, hello: Hello): void
  /** Leaves the tabs to whoever hosts next. The hub ends by itself when the last has left. */
  close(): void
}

/** `lock` is what the host holds while it is there; `onempty` is called when the last tab has left. */
export function createHost(hub: Hub, lock?: string, onempty?: () => void): Host {
  const tabs = new Map<Line, () => void>()
  return {
    accept(line, { locked, id }) {
      const post = (...letter: FromHost): void => line.postMessage(letter)
      const gone = new AbortController()
      let heard = performance.now()
      let timer: ReturnType<typeof setInterval> | undefined
      const leave = (): boolean => {
        if (!tabs.delete(line)) return false
        clearInterval(timer)
        gone.abort()
        line.close()
        if (tabs.size === 0) onempty?.()
        return true
      }
      const lost = (): void => {
        if (leave()) tab.onclose()
      }
      const tab: TabPort = {
        onmessage() {},
        onclose() {},
        post: message => tabs.has(line) && post('say', message),
        close: leave,
      }
      tabs.set(line, lost)
      line.onmessage = ({ data: [kind, message] }: MessageEvent<FromTab>) => {
        heard = performance.now()
        if (kind === 'say') tab.onmessage(message)
        else if (kind === 'ping') post('pong')
        else lost()
      }
      if (locked && locks) whenFree(id, gone.signal, lost)
      else timer = setInterval(() => performance.now() - heard > SILENCE_MS && lost(), PING_MS)
      post('open', lock)
      hub.attach(tab)
    },
    close() {
      for (const lost of tabs.values()) lost()
    },
  }
}
