import { Refused } from './origin.js'

/**
 * What was written and is not yet saved: kept over reloads, sent in order, again until the origin has answered. The key
 * of a message stays the same, so the origin saves it once, however often it comes, and from whichever tab.
 */
const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 4000

export class Sending {
  #prefix
  #save
  #onchange
  #queue = []
  #isRunning = false
  #wake = () => {}

  /** `onchange(message, event)` is told of a message that waits, failed (`problem`) or was saved (`event`). */
  constructor(user, save, onchange) {
    this.#prefix = `unsent ${user} `
    this.#save = save
    this.#onchange = onchange
  }

  /** Goes on with what an earlier page left. */
  resume() {
    const kept = Object.keys(localStorage).filter(name => name.startsWith(this.#prefix))
    const messages = kept.map(name => JSON.parse(localStorage.getItem(name)))
    for (const message of messages.toSorted((one, other) => one.at - other.at)) this.#add(message)
  }

  add(thread, text) {
    const message = { key: crypto.randomUUID(), thread, text, at: Date.now() }
    localStorage.setItem(this.#prefix + message.key, JSON.stringify(message))
    this.#add(message)
  }

  /** Sends a message again that the origin has refused. */
  retry({ key, thread, text, at }) {
    this.#add({ key, thread, text, at })
  }

  forget({ key }) {
    localStorage.removeItem(this.#prefix + key)
  }

  /** Tries now: something has changed for the better. */
  wake() {
    this.#wake()
  }

  #add(message) {
    this.#queue.push(message)
    this.#onchange(message)
    if (!this.#isRunning) void this.#run()
  }

  async #run() {
    this.#isRunning = true
    for (let failures = 0; this.#queue.length > 0; ) {
      const [message] = this.#queue
      try {
        const event = await this.#save(message)
        this.#queue.shift()
        this.forget(message)
        this.#onchange(message, event)
        failures = 0
      } catch (error) {
        if (error instanceof Refused) this.#onchange({ ...this.#queue.shift(), problem: error.message })
        else await this.#pause(Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** failures++))
      }
    }
    this.#isRunning = false
  }

  #pause(ms) {
    return new Promise(resolve => {
      this.#wake = resolve
      setTimeout(resolve, ms)
    })
  }
}
