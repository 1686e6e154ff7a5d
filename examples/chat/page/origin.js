/** The page's calls to its origin. Who somebody is stands in a header, so that each window can be somebody else. */
const TIMEOUT_MS = 10_000

/** The origin's no: asking again will not help. Any other error is one of the way there. */
export class Refused extends Error {}

export class Origin {
  #session

  /** Logs in by a name, and returns who that is and where the relay is. */
  async login(name) {
    const { session, ...answer } = await this.#call('POST', '/login', { name })
    this.#session = session
    return answer
  }

  /** Returns a token for the relay. */
  token() {
    return this.#call('GET', '/token')
  }

  /** Returns everything that the page begins with, and the heads of its chains as they were before. */
  inbox() {
    return this.#call('GET', '/inbox')
  }

  /** Returns all events that came after these places, oldest first in each chain. */
  async since(chains) {
    const all = []
    for (let places = chains; Object.keys(places).length > 0; ) {
      const { events, more } = await this.#call('POST', '/since', { chains: places })
      all.push(...events)
      const last = chain => events.findLast(event => event.chain === chain).id
      places = Object.fromEntries(more.map(chain => [chain, { after: last(chain) }]))
    }
    return all
  }

  /** Saves a message, and returns it as an event. Repeating it with the same `key` saves nothing twice. */
  save({ thread, text, key }) {
    return this.#call('POST', '/messages', { thread, text, key })
  }

  /** Says that we have read a thread up to this message. */
  read(thread, upTo) {
    return this.#call('POST', '/read', { thread, upTo })
  }

  /** Has the relay taken away for a while: the demo does that for whoever wants to see it. */
  cut() {
    return this.#call('POST', '/cut', {})
  }

  async #call(method, path, body) {
    const request = { method, headers: {}, signal: AbortSignal.timeout(TIMEOUT_MS) }
    if (this.#session) request.headers.authorization = `Bearer ${this.#session}`
    if (body) {
      request.headers['content-type'] = 'application/json'
      request.body = JSON.stringify(body)
    }
    const response = await fetch(path, request).catch(() => {
      throw new Error('The origin does not answer.')
    })
    // The demo was started anew and does not know this session.
    if (response.status === 401) location.reload()
    const answer = await response.json()
    if (response.ok) return answer
    throw response.status < 500 ? new Refused(answer.error) : new Error(answer.error)
  }
}
