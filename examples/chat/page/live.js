/* global Throughline */

/**
 * The page's end of the relay: what comes goes into the model, whether live or fetched; what we type and read goes out.
 * All that it takes to be whole again after every drop is the client's: see `fetchSince`.
 */
const POLL_SECONDS = 2
const TYPING_EVERY_MS = 2500
const TYPING_MS = 4500

export class Live {
  /** How many events came over the connection, and how many by asking the origin. */
  counts = { live: 0, fetched: 0 }
  relay
  #origin
  #model
  #onchange
  #threads = new Map()
  #watching
  #typingTimers = new Map()
  #typed = 0
  #unsaid = new Map()

  constructor({ url, since, origin, model, onchange, onstate, oncall }) {
    this.#origin = origin
    this.#model = model
    this.#onchange = onchange
    const relay = Throughline.connect({
      url,
      since,
      token: () => origin.token(),
      fetchSince: chains => origin.since(chains),
      pollSeconds: POLL_SECONDS,
    })
    this.relay = relay
    relay.on('state', ({ state }) => {
      this.#watched()
      onstate(state)
      void this.#sayRead()
    })
    relay.on('closed', error => onstate('closed', error))
    relay.on('error', error => console.warn(String(error)))
    relay.on('event', ({ from }) => {
      this.counts[from]++
      onchange()
    })
    const known = listener => event => model.conversations.has(event.thread) && listener(event)
    relay.on(
      'event:message',
      known(event => model.take(event.thread, event)),
    )
    relay.on(
      'event:mark',
      known(({ thread, data }) => model.mark(thread, data.user, data.mark, data.upTo)),
    )
    relay.on('event:person', ({ data }) => void this.#meet(data))
    // What pages send each other. That it is theirs is the relay's word; what stands in it is not.
    relay.on(
      'event:read',
      known(({ thread, sender, data }) => sender && model.mark(thread, sender.user, 'read', data?.upTo)),
    )
    relay.on(
      'event:typing',
      known(({ thread, sender }) => sender && this.#types(thread, sender.user)),
    )
    relay.on(
      'event:delivered',
      known(({ thread, data: { ids, user } }) => ids.forEach(id => model.mark(thread, user, 'delivered', id))),
    )
    for (const type of ['offer', 'answer', 'candidate', 'hangup']) {
      relay.on(
        `event:call.${type}`,
        known(event => event.sender && oncall(type, event)),
      )
    }
    for (const id of model.conversations.keys()) this.#follow(id)
    this.#watch()
  }

  /** Tells the others of a thread that we are writing, not more often than they forget it. */
  type(thread) {
    if (Date.now() - this.#typed < TYPING_EVERY_MS) return
    this.#typed = Date.now()
    this.send(thread, 'typing').catch(() => {})
  }

  /** After a message they need to be told anew. */
  typed() {
    this.#typed = 0
  }

  /** Says that we have read up to a message: to whoever is there at once, to the origin so that it remembers. */
  read(thread, upTo) {
    this.#model.mark(thread, this.#model.me.id, 'read', upTo)
    this.#unsaid.set(thread, upTo)
    this.send(thread, 'read', { upTo }).catch(() => {})
    void this.#sayRead()
  }

  /** Sends to the pages that are there now, or to those of one user. */
  async send(thread, type, data, user) {
    await this.#threads.get(thread)?.send(type, data, user && { to: { user } })
  }

  async #sayRead() {
    for (const [thread, upTo] of this.#unsaid) {
      try {
        await this.#origin.read(thread, upTo)
        if (this.#unsaid.get(thread) === upTo) this.#unsaid.delete(thread)
      } catch {
        return // again when the state changes, or with the next one
      }
    }
  }

  #follow(id) {
    const thread = this.relay.subscribe(id)
    this.#threads.set(id, thread)
    thread.ready.catch(error => console.warn(String(error)))
  }

  /** Somebody new is there: the token that we have does not name the thread with them. */
  async #meet(person) {
    if (this.#model.conversations.has(person.thread)) return
    this.#model.addPerson(person)
    this.#onchange()
    // Without a connection the next one begins with a new token anyway.
    await this.relay.refresh().catch(() => {})
    this.#follow(person.thread)
    this.#watch()
  }

  #watch() {
    const before = this.#watching
    this.#watching = this.relay.watch([...this.#model.people.keys()])
    this.#watching.on('change', () => this.#watched())
    before?.close()
  }

  #watched() {
    const { online } = this.#watching ?? { online: [] }
    const isKnown = this.relay.connection !== undefined
    this.#model.online = new Set([...online].flatMap(([user, is]) => (is && isKnown ? user : [])))
    this.#model.isOnlineKnown = isKnown
    this.#onchange()
  }

  #types(thread, user) {
    if (user === this.#model.me.id) return
    const { typing } = this.#model.conversations.get(thread)
    const name = `${thread} ${user}`
    typing.add(user)
    clearTimeout(this.#typingTimers.get(name))
    const forget = () => {
      this.#typingTimers.delete(name)
      typing.delete(user)
      this.#onchange()
    }
    this.#typingTimers.set(name, setTimeout(forget, TYPING_MS))
  }
}
