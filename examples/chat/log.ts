/** How far a user has got in a thread: `delivered` to one of their pages, or `read`. */
export type Mark = 'delivered' | 'read'

export interface Message {
  readonly author: string
  readonly text: string
  /** Chosen by the page that wrote it, so that a repeated request saves nothing twice. */
  readonly key: string
}

/** What an event tells, by its type. */
export interface Told {
  readonly message: Message
  readonly mark: { readonly user: string; readonly mark: Mark; readonly upTo: number }
  readonly person: { readonly id: string; readonly name: string; readonly thread: string }
}

export type Entry = {
  readonly [Type in keyof Told]: {
    /** Grows by one with each entry: what a page asks with, and what makes a repeated publish harmless. */
    readonly id: number
    /** `thread:…` or `user:…` */
    readonly chain: string
    readonly type: Type
    readonly data: Told[Type]
    /** Milliseconds since the epoch. */
    readonly at: number
    /** Its place in the chain, once the relay has told it. */
    stamp?: number | undefined
  }
}[keyof Told]

/** What a page that asks has of a chain. */
export interface Place {
  readonly after?: number | undefined
  readonly stamp?: number | undefined
}

type Marks = Record<Mark, number>

const EVENTS_AT_ONCE = 100
const MESSAGES_SHOWN = 200

/**
 * What happened, in order: the origin's own store. It lives in memory; a real origin has its database here. The relay
 * never sees any of it but what is published, and keeps nothing of that.
 */
export class Log {
  readonly #chains = new Map<string, Entry[]>()
  /** By thread, then by user. */
  readonly #marks = new Map<string, Map<string, Marks>>()
  #lastId = 0

  add<Type extends keyof Told>(chain: string, type: Type, data: Told[Type]): Entry {
    const entry = { id: ++this.#lastId, chain, type, data, at: Date.now() } as Entry
    this.#of(chain).push(entry)
    return entry
  }

  /** Saves a message; one that the same author saved before under the same key is returned with `isNew: false`. */
  save(thread: string, message: Message): { entry: Entry; isNew: boolean } {
    const { author, key } = message
    const known = this.#of(`thread:${thread}`).find(
      ({ type, data }) => type === 'message' && data.key === key && data.author === author,
    )
    if (known !== undefined) return { entry: known, isNew: false }
    return { entry: this.add(`thread:${thread}`, 'message', message), isNew: true }
  }

  /** Notes how far a user has got. Returns what there is to tell: nothing if it was known, or nobody is concerned. */
  mark(thread: string, user: string, mark: Mark, wanted: number): Entry | undefined {
    const theirs = this.#of(`thread:${thread}`).filter(({ type, data }) => type === 'message' && data.author !== user)
    const upTo = theirs.findLast(({ id }) => id <= wanted)?.id ?? 0
    const marks = this.#marksOf(thread, user)
    if (upTo <= marks[mark]) return undefined
    marks[mark] = upTo
    // Who has read it has got it.
    marks.delivered = Math.max(marks.delivered, upTo)
    return this.add(`thread:${thread}`, 'mark', { user, mark, upTo })
  }

  /** Returns the last messages of a thread, oldest first, and how far everybody has got. */
  snapshot(thread: string): { messages: Entry[]; marks: Record<string, Marks> } {
    const messages = this.#of(`thread:${thread}`).filter(({ type }) => type === 'message')
    return {
      messages: messages.slice(-MESSAGES_SHOWN),
      marks: Object.fromEntries(this.#marks.get(thread) ?? []),
    }
  }

  /**
   * Returns what came after a place in a chain, oldest first, and whether there is more. A page that was just made
   * knows no id, only the stamp of the head that was read before it: what is not published yet counts as later.
   */
  since(chain: string, { after, stamp }: Place): { entries: Entry[]; more: boolean } {
    const isLater = (entry: Entry): boolean => {
      if (after !== undefined) return entry.id > after
      return stamp === undefined || entry.stamp === undefined || entry.stamp > stamp
    }
    const all = this.#of(chain).filter(isLater)
    return { entries: all.slice(0, EVENTS_AT_ONCE), more: all.length > EVENTS_AT_ONCE }
  }

  #of(chain: string): Entry[] {
    const entries = this.#chains.get(chain) ?? []
    this.#chains.set(chain, entries)
    return entries
  }

  #marksOf(thread: string, user: string): Marks {
    const users = this.#marks.get(thread) ?? new Map<string, Marks>()
    this.#marks.set(thread, users)
    const marks = users.get(user) ?? { delivered: 0, read: 0 }
    users.set(user, marks)
    return marks
  }
}
