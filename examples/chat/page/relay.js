/**
 * Follows threads of a Throughline relay over one WebSocket, and knows when it has missed something.
 *
 * The relay stores nothing, so it cannot repeat anything. Instead each event of a chain names the stamp of the one
 * before it (`prev`). While that is the last stamp seen here, nothing is missing. If it is not, or if the chain's head
 * has moved while there was no connection, the origin is asked, once, and what arrives meanwhile waits its turn.
 */
const PROTOCOL = 'throughline.v1'
const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 10_000
// Two heartbeats without a frame, and some time on the way: the connection is dead, even if nobody has said so.
const SILENT_HEARTBEATS = 2.5
const NOT_AUTHENTICATED = 4401
const FINAL = new Set([4403, 4410]) // not allowed, sent away: coming back would change nothing

export class Relay {
  /** The id of the open connection. Sent along with a message, it keeps that message from coming back here. */
  connection = undefined

  #options
  #chains = new Map() // name → { stamp, head, missed, asking, waiting }
  #socket
  #access
  #wasRefused = false
  #isSubscribed = false
  #isBusUp = true
  #attempts = 0
  #silenceMs = 60_000
  #silenceTimer
  #openTimer
  #isClosed = false

  /**
   * @param {object} options
   * @param {string[]} options.threads  which threads to follow
   * @param {() => Promise<{ url: string, token: string }>} options.access  gets a user token from the origin
   * @param {(event: object) => void} options.onEvent  takes each event, in order; one with `own` is our own, without content
   * @param {(chain: string) => Promise<void>} options.onMissed  asks the origin for what is new; resolves when it has answered
   * @param {(state: 'live' | 'waiting' | 'closed', reason?: string) => void} options.onState
   */
  constructor(options) {
    this.#options = options
  }

  async open() {
    this.#drop()
    try {
      this.#access ??= await this.#options.access()
    } catch {
      return this.#openLater()
    }
    if (this.#isClosed) return
    const socket = new WebSocket(this.#access.url, PROTOCOL)
    this.#socket = socket
    socket.onopen = () => this.#send({ op: 'connect', token: this.#access.token, since: this.#since(['user', 'site']) })
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data))
    socket.onclose = ({ code, reason }) => this.#lost(code, reason)
    this.#expectFrame()
  }

  close(reason = '') {
    this.#isClosed = true
    clearTimeout(this.#openTimer)
    this.#drop()
    this.#options.onState('closed', reason)
  }

  #receive(frame) {
    if (frame.heartbeat) this.#silenceMs = frame.heartbeat * 1000 * SILENT_HEARTBEATS
    this.#expectFrame()
    switch (frame.op) {
      case 'connected':
        return this.#connected(frame)
      case 'subscribed':
        this.#isSubscribed = true
        this.#compare(frame.chains)
        return this.#tellState()
      case 'event':
        return this.#event(frame)
      case 'gap':
        for (const [name, head] of Object.entries(frame.chains)) this.#missed(this.#chain(name), head, frame.within)
        return
      case 'status':
        this.#isBusUp = frame.bus === 'up'
        return this.#tellState()
      case 'drain':
        return this.#openLater(Math.random() * frame.within)
      case 'error':
        return console.warn(`relay: ${frame.code}: ${frame.message}`)
    }
  }

  #connected({ connection, chains }) {
    this.connection = connection
    this.#attempts = 0
    this.#wasRefused = false
    this.#isBusUp = true
    this.#compare(chains)
    const { threads } = this.#options
    this.#send({ op: 'subscribe', id: 1, threads, since: this.#since(threads.map(thread => `thread:${thread}`)) })
  }

  #event(event) {
    if (event.chain === undefined) return this.#options.onEvent(event) // ephemeral: has no place and is not missed
    const chain = this.#chain(event.chain)
    if (event.stamp <= chain.stamp) return
    const isNext = event.prev === chain.stamp
    chain.stamp = event.stamp
    chain.head = undefined // older than this event
    chain.waiting.push(event)
    if (!isNext) this.#missed(chain)
    else if (!chain.asking) this.#release(chain)
  }

  /** Compares what the relay says of each chain with what was seen here. `new` may be behind as well: the page is older than the connection. */
  #compare(chains) {
    for (const [name, { head, state, within }] of Object.entries(chains)) {
      const chain = this.#chain(name)
      if (state === 'current') chain.head = undefined
      else this.#missed(chain, head, within)
    }
  }

  /** Asks the origin, at a random moment within `within` ms, so that not all pages ask at once. */
  #missed(chain, head, within = 0) {
    chain.missed = true
    chain.head = head
    if (!chain.asking) void this.#ask(chain, within)
  }

  async #ask(chain, within) {
    chain.asking = true
    await sleep(Math.random() * within)
    for (let attempt = 0; chain.missed && !this.#isClosed; attempt++) {
      // Taken when the question is sent, not when it is answered: whatever is missed from here on needs another question.
      chain.missed = false
      chain.stamp = chain.head ?? chain.stamp
      chain.head = undefined
      try {
        await this.#options.onMissed(chain.name)
      } catch {
        chain.missed = true
        await sleep(backoff(attempt))
      }
    }
    chain.asking = false
    this.#release(chain)
  }

  #release(chain) {
    for (const event of chain.waiting.splice(0)) this.#options.onEvent(event)
  }

  #chain(name) {
    const known = this.#chains.get(name)
    if (known) return known
    const chain = { name, stamp: undefined, head: undefined, missed: false, asking: false, waiting: [] }
    this.#chains.set(name, chain)
    return chain
  }

  #since(names) {
    const seen = names.map(name => [name, this.#chains.get(name)?.stamp])
    return Object.fromEntries(seen.filter(([, stamp]) => stamp !== undefined))
  }

  #lost(code, reason) {
    if (FINAL.has(code)) return this.close(reason)
    if (code === NOT_AUTHENTICATED) {
      // A token grows old, so another one is worth a try; if that one is refused too, no further one will do.
      if (this.#wasRefused) return this.close(reason)
      this.#wasRefused = true
      this.#access = undefined
    }
    this.#drop()
    this.#openLater()
  }

  #drop() {
    const socket = this.#socket
    if (!socket) return
    // A dead connection may take minutes to close: it is not waited for.
    socket.onopen = socket.onmessage = socket.onclose = null
    socket.close()
    clearTimeout(this.#silenceTimer)
    this.#socket = this.connection = undefined
    this.#isSubscribed = false
    if (!this.#isClosed) this.#tellState()
  }

  #openLater(ms = backoff(this.#attempts++)) {
    clearTimeout(this.#openTimer)
    this.#openTimer = setTimeout(() => this.open(), ms)
  }

  #expectFrame() {
    clearTimeout(this.#silenceTimer)
    this.#silenceTimer = setTimeout(() => this.#lost(), this.#silenceMs)
  }

  #tellState() {
    this.#options.onState(this.#isSubscribed && this.#isBusUp ? 'live' : 'waiting')
  }

  #send(frame) {
    this.#socket.send(JSON.stringify(frame))
  }
}

/** Exponential, with full jitter: pages that lost the same node do not come back in step. */
function backoff(attempt) {
  return Math.random() * Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** attempt)
}

function sleep(ms) {
  return new Promise(resolve => setTimeout(resolve, ms))
}
