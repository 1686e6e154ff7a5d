import type { Page } from 'playwright-core'

/** What a page or worker holds: each is what would keep it busy, or somebody's closure alive. */
export interface Leftovers {
  /** `Window online` and the like. */
  readonly listeners: string[]
  readonly timers: number
  /** WebSockets, BroadcastChannels and ports of workers that are not closed. */
  readonly open: string[]
}

/** To be run before any other script of a page or worker: it then counts what is taken and given back. */
export const COUNTING = `(() => {
  const listeners = new Set(), timers = new Set(), open = new Set()
  const { BroadcastChannel } = globalThis
  const { addEventListener, removeEventListener } = EventTarget.prototype
  const isCapture = options => !!(options?.capture ?? options)
  const known = (target, type, listener, options) =>
    [...listeners].find(one => one.target === target && one.type === type && one.listener === listener && one.capture === isCapture(options))
  EventTarget.prototype.addEventListener = function (type, listener, options) {
    const target = this ?? globalThis
    if (!known(target, type, listener, options))
      listeners.add({ target, type, listener, capture: isCapture(options), signal: options?.signal })
    return addEventListener.call(target, type, listener, options)
  }
  EventTarget.prototype.removeEventListener = function (type, listener, options) {
    const target = this ?? globalThis
    listeners.delete(known(target, type, listener, options))
    return removeEventListener.call(target, type, listener, options)
  }
  for (const kind of ['Timeout', 'Interval']) {
    const set = globalThis['set' + kind], clear = globalThis['clear' + kind]
    globalThis['set' + kind] = (run, ms, ...rest) => {
      const id = set(() => {
        if (kind === 'Timeout') timers.delete(id)
        run(...rest)
      }, ms)
      timers.add(id)
      return id
    }
    globalThis['clear' + kind] = id => {
      timers.delete(id)
      clear(id)
    }
  }
  const keep = (name, held) => {
    if (!globalThis[name]) return
    globalThis[name] = new Proxy(globalThis[name], {
      construct(type, given) {
        const made = Reflect.construct(type, given)
        open.add(held(made))
        return made
      },
    })
  }
  keep('WebSocket', socket => socket)
  keep('BroadcastChannel', channel => channel)
  keep('SharedWorker', worker => worker.port)
  for (const { prototype } of [BroadcastChannel, MessagePort]) {
    const { close } = prototype
    prototype.close = function () {
      open.delete(this)
      close.call(this)
    }
  }
  const nameOf = thing => thing.constructor.name
  const tell = () => ({
    // Those of a signal that has fired go with it.
    listeners: [...listeners].filter(({ target, signal }) => !signal?.aborted && !target.aborted).map(({ target, type }) => nameOf(target) + ' ' + type).sort(),
    timers: timers.size,
    open: [...open].filter(one => one.readyState !== 3).map(nameOf).sort(),
  })
  globalThis.leftovers = tell
  globalThis.leftoversOfWorker = () => new Promise(resolve => {
    const channel = new BroadcastChannel('leftovers')
    channel.onmessage = ({ data }) => {
      channel.close()
      resolve(data)
    }
    channel.postMessage('?')
  })
  if (!('onconnect' in globalThis)) return
  const channel = new BroadcastChannel('leftovers')
  channel.onmessage = ({ data }) => data === '?' && channel.postMessage(tell())
})();`

/** Returns what a page holds, whose context has COUNTING as its first script. */
export const leftoversOf = (page: Page): Promise<Leftovers> => page.evaluate('leftovers()')

/** Returns what the one worker holds that a page shares, and whose script begins with COUNTING. */
export const leftoversOfWorker = (page: Page): Promise<Leftovers> => page.evaluate('leftoversOfWorker()')
