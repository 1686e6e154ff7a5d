import { Peer } from './peer.js'

/**
 * One call at a time. The relay carries what it takes to find each other (`call.offer`, `answer`, `candidate`,
 * `hangup`); sound and drawing go from browser to browser, so a call outlives a cut of the relay's connection.
 *
 * A user's tabs all ring; the one that accepts tells the others.
 */
const RING_MS = 30_000
const FAREWELL_MS = 2500
const MOST_CANDIDATES = 100
const REASONS = new Map([
  ['busy', 'Busy in another call'],
  ['declined', 'Declined'],
])

export class Calls {
  /** `{id, thread, user, state, peer?, ping?, reason?}`; states: calling, ringing, connecting, connected, ended. */
  current
  #me
  #ice
  #send
  #on
  #timer

  /**
   * `ice()` returns servers; `send(thread, type, data, user)` goes by the relay; `on.change()`, `on.line(numbers)`,
   * `on.clear()`.
   */
  constructor(me, { ice, send, on }) {
    this.#me = me
    this.#ice = ice
    this.#send = send
    this.#on = on
    addEventListener('pagehide', () => this.hangUp())
  }

  get isBusy() {
    return this.current !== undefined && this.current.state !== 'ended'
  }

  async start({ id: thread, peer }) {
    if (this.isBusy) return
    const call = this.#begin({ id: crypto.randomUUID(), thread, user: peer.id, state: 'calling' })
    await this.#attempt(call, async () => {
      await this.#open(call)
      await call.peer.listen()
      await this.#tell(call, 'offer', { sdp: await call.peer.offer() })
    })
  }

  async accept() {
    const call = this.current
    if (call?.state !== 'ringing') return
    clearTimeout(this.#timer)
    this.#become(call, 'connecting')
    // Our other tabs stop ringing.
    this.#send(call.thread, 'call.hangup', { call: call.id }, this.#me).catch(() => {})
    await this.#attempt(call, async () => {
      await this.#open(call)
      for (const candidate of call.early) await call.peer.add(candidate)
      await this.#tell(call, 'answer', { sdp: await call.peer.answer(call.offer) })
    })
  }

  /** Ends the call, whatever its state. */
  hangUp() {
    const call = this.current
    if (!this.isBusy) return
    const reason = call.state === 'ringing' ? 'declined' : undefined
    this.#tell(call, 'hangup', { reason }).catch(() => {})
    if (reason) this.#send(call.thread, 'call.hangup', { call: call.id }, this.#me).catch(() => {})
    this.#end(call)
  }

  draw(line) {
    this.current?.peer?.send({ line })
  }

  clear() {
    this.current?.peer?.send({ clear: true })
  }

  mute(isMuted) {
    this.current?.peer?.mute(isMuted)
  }

  /** Takes what another page sent by the relay: `type` without `call.`. */
  async take(type, thread, user, data) {
    const id = data?.call
    const call = this.current
    if (typeof id !== 'string') return
    if (type === 'offer' && user !== this.#me && typeof data.sdp === 'string') return this.#ring(thread, user, data)
    if (!this.isBusy || call.id !== id || call.thread !== thread) return
    if (user === this.#me) {
      if (type === 'hangup' && call.state === 'ringing') this.#end(call, '')
    } else if (type === 'answer' && call.state === 'calling') {
      clearTimeout(this.#timer)
      this.#become(call, 'connecting')
      await this.#attempt(call, () => call.peer.accept(data.sdp))
    } else if (type === 'candidate') {
      if (call.peer) await call.peer.add(data.candidate)
      else if (call.early.length < MOST_CANDIDATES) call.early.push(data.candidate)
    } else if (type === 'hangup') {
      // Of several tabs one may be busy while others ring.
      if (data.reason) this.#tell(call, 'hangup').catch(() => {})
      this.#end(call, REASONS.get(data.reason))
    }
  }

  #ring(thread, user, { call: id, sdp }) {
    const mine = this.current
    const isCrossing = this.isBusy && mine.state === 'calling' && mine.user === user
    // Both called at once: both pages pick the same one of the two calls.
    if (isCrossing && mine.id < id) return
    if (this.isBusy && !isCrossing) {
      this.#send(thread, 'call.hangup', { call: id, reason: 'busy' }, user).catch(() => {})
      return
    }
    mine?.peer?.close()
    this.#begin({ id, thread, user, state: 'ringing', offer: sdp })
    if (isCrossing) void this.accept()
  }

  #begin(fields) {
    clearTimeout(this.#timer)
    const call = { early: [], isMuted: false, ping: undefined, ...fields }
    this.current = call
    this.#timer = setTimeout(() => {
      if (call.state === 'calling') this.#tell(call, 'hangup').catch(() => {})
      this.#end(call, 'No answer')
    }, RING_MS)
    this.#on.change()
    return call
  }

  async #open(call) {
    const iceServers = await this.#ice()
    if (call !== this.current || call.state === 'ended') throw new Error('It was hung up.')
    call.peer = new Peer(iceServers, {
      candidate: candidate => void this.#tell(call, 'candidate', { candidate }).catch(() => {}),
      open: () => this.#become(call, 'connected'),
      ping: ms => {
        call.ping = ms
        this.#on.change()
      },
      line: this.#on.line,
      clear: this.#on.clear,
      end: () => this.#end(call),
    })
  }

  /** Does a step of a call; if that fails, the call ends on both sides. */
  async #attempt(call, step) {
    try {
      await step()
    } catch (error) {
      if (call !== this.current || call.state === 'ended') return
      this.#tell(call, 'hangup').catch(() => {})
      this.#end(call, error.code === 'not_connected' ? 'No connection to the relay' : 'It did not work')
      console.warn(String(error))
    }
  }

  #tell(call, type, data) {
    return this.#send(call.thread, `call.${type}`, { call: call.id, ...data }, call.user)
  }

  #become(call, state) {
    if (call !== this.current || call.state === 'ended') return
    call.state = state
    this.#on.change()
  }

  /** With an empty reason nothing is said. */
  #end(call, reason = 'The call has ended') {
    call.peer?.close()
    if (call !== this.current || call.state === 'ended') return
    clearTimeout(this.#timer)
    Object.assign(call, { state: 'ended', reason, peer: undefined })
    const forget = () => {
      if (this.current === call) this.current = undefined
      this.#on.change()
    }
    if (reason) this.#timer = setTimeout(forget, FAREWELL_MS)
    else forget()
    this.#on.change()
  }
}
