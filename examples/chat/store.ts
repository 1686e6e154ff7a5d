import { randomBytes } from 'node:crypto'

/**
 * The origin's own store. It lives in memory, so that the demo leaves nothing behind; a real origin has its database
 * here. The relay never sees any of it but what is published.
 */
export interface User {
  readonly id: string
  readonly name: string
}

export interface Thread {
  readonly id: string
  readonly name: string
  readonly about: string
}

export interface Message {
  /** Grows by one with each message: what a page asks with, and what makes a repeated publish harmless. */
  readonly id: number
  readonly thread: string
  readonly author: User
  readonly text: string
  /** Milliseconds since the epoch. */
  readonly at: number
  /** Chosen by the page that wrote it, so that a repeated request saves nothing twice. */
  readonly key: string
}

const THREADS: readonly Thread[] = [
  { id: 'team', name: 'Team', about: 'What everybody should know' },
  { id: 'design', name: 'Design', about: 'Drawings, words and second thoughts' },
  { id: 'lunch', name: 'Lunch', about: 'Where, when and who comes along' },
]

const WELCOME: Record<string, readonly string[]> = {
  team: [
    'Welcome! This message came with the page, from the origin’s store.',
    'Open the other link in a second window and write something: what you read there came through the relay.',
  ],
  design: ['The relay carries this text without looking into it. <b>Tags</b> are just characters here.'],
  lunch: ['Stop the relay and go on writing: the pages ask the origin until it is back, and nothing is lost.'],
}

const HOST: User = { id: 'origin', name: 'Throughline' }
const MESSAGES_AT_ONCE = 200

export class Store {
  readonly threads = THREADS
  readonly #users = new Map<string, User>()
  readonly #sessions = new Map<string, User>()
  readonly #messages: Message[] = []

  constructor() {
    for (const { id } of THREADS) {
      for (const text of WELCOME[id] ?? []) this.save(HOST, id, text, randomBytes(16).toString('hex'))
    }
  }

  /** Opens a session. There are no passwords here: a name is enough, and the same name is the same person. */
  login(name: string): { session: string; user: User } {
    const user = this.#users.get(name) ?? { id: `u${this.#users.size + 1}`, name }
    this.#users.set(name, user)
    const session = randomBytes(24).toString('base64url')
    this.#sessions.set(session, user)
    return { session, user }
  }

  userOf(session: string): User | undefined {
    return this.#sessions.get(session)
  }

  hasThread(id: string): boolean {
    return THREADS.some(thread => thread.id === id)
  }

  /** Saves a message; one that the same author saved before under the same key is returned with `isNew: false`. */
  save(author: User, thread: string, text: string, key: string): { message: Message; isNew: boolean } {
    const known = this.#messages.find(message => message.key === key && message.author.id === author.id)
    if (known !== undefined) return { message: known, isNew: false }
    const message = { id: this.#messages.length + 1, thread, author, text, at: Date.now(), key }
    this.#messages.push(message)
    return { message, isNew: true }
  }

  /** Returns what came after message `after` in a thread, oldest first, and whether there is more to ask for. */
  messagesAfter(thread: string, after: number): { messages: Message[]; more: boolean } {
    const all = this.#messages.slice(after).filter(message => message.thread === thread)
    return { messages: all.slice(0, MESSAGES_AT_ONCE), more: all.length > MESSAGES_AT_ONCE }
  }
}
