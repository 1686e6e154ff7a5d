/** The page's calls to its origin. Who somebody is stands in a header, so that each window can be somebody else. */
const TIMEOUT_MS = 10_000

export class Origin {
  #session

  /** Logs in by a name, and returns who that is and which threads there are. */
  async login(name) {
    const { session, user, threads } = await this.#call('POST', '/login', { name })
    this.#session = session
    return { user, threads }
  }

  /** Returns where the relay is and a token for it. */
  access() {
    return this.#call('GET', '/token')
  }

  /** Returns the messages of a thread that came after message `after`, oldest first, and whether there are more. */
  messages(thread, after) {
    return this.#call('GET', `/messages?${new URLSearchParams({ thread, after })}`)
  }

  /** Saves a message. Repeating it with the same `key` saves nothing twice. */
  save(message) {
    return this.#call('POST', '/messages', message)
  }

  async #call(method, path, body) {
    const request = { method, headers: {}, signal: AbortSignal.timeout(TIMEOUT_MS) }
    if (this.#session) request.headers.authorization = `Bearer ${this.#session}`
    if (body) {
      request.headers['content-type'] = 'application/json'
      request.body = JSON.stringify(body)
    }
    const response = await fetch(path, request).catch(() => {
      throw new Error('the origin does not answer.')
    })
    // The demo was started anew and knows neither this session nor what was said.
    if (response.status === 401) location.reload()
    const answer = await response.json()
    if (!response.ok) throw new Error(answer.error)
    return answer
  }
}
