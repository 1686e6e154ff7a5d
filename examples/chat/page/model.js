/** What the page knows: people, conversations, messages, and how far everybody has got. Knows nothing of how it came. */
const HOST = { id: 'origin', name: 'Throughline' }
const GROUP = 'Everyone'

export class Model {
  me
  people = new Map()
  conversations = new Map()
  /** Ids of those who are online, while the relay tells. */
  online = new Set()
  isOnlineKnown = false

  constructor(me, { people, conversations }) {
    this.me = me
    for (const person of people) this.people.set(person.id, person)
    for (const { id, messages, marks } of conversations) {
      const conversation = this.#add(id)
      for (const event of messages) this.take(id, event)
      for (const [user, reached] of Object.entries(marks)) conversation.marks.set(user, reached)
    }
  }

  addPerson({ id, name, thread }) {
    this.people.set(id, { id, name })
    if (!this.conversations.has(thread)) this.#add(thread)
  }

  person(id) {
    return id === HOST.id ? HOST : (this.people.get(id) ?? { id, name: 'Somebody' })
  }

  /** Those of a conversation but us. */
  others({ peer }) {
    return peer ? [peer] : [...this.people.values()].filter(({ id }) => id !== this.me.id)
  }

  /** Takes a message that the origin has. It may come more than once: by the relay, by a question, as the answer to `save`. */
  take(thread, { id, at, data: { author, text, key } }) {
    const { messages, pending, typing } = this.conversations.get(thread)
    const number = Number(id)
    const before = messages.findLastIndex(message => message.id <= number)
    if (messages[before]?.id === number) return
    messages.splice(before + 1, 0, { id: number, thread, at, author, text, key })
    if (author === this.me.id) pending.delete(key)
    typing.delete(author)
  }

  mark(thread, user, mark, upTo) {
    const { marks, messages } = this.conversations.get(thread)
    const reached = marks.get(user) ?? { delivered: 0, read: 0 }
    // Not beyond what there is, whoever says so.
    const last = Math.min(Number(upTo) || 0, messages.at(-1)?.id ?? 0)
    reached[mark] = Math.max(reached[mark], last)
    reached.delivered = Math.max(reached.delivered, reached.read)
    marks.set(user, reached)
  }

  /** Returns how far a message of ours has got, and to whom. In a group the first one counts. */
  progress(conversation, { id, problem }) {
    if (!id) return { state: problem ? 'failed' : 'waiting', by: [] }
    const who = mark => this.others(conversation).filter(other => conversation.marks.get(other.id)?.[mark] >= id)
    const [readers, receivers] = [who('read'), who('delivered')]
    if (readers.length > 0) return { state: 'seen', by: readers }
    return { state: receivers.length > 0 ? 'delivered' : 'sent', by: receivers }
  }

  /** Returns the id of the newest message of others that we have not read, or 0. */
  unreadUpTo({ messages, marks }) {
    const newest = messages.findLast(({ author }) => author !== this.me.id)?.id ?? 0
    return newest > (marks.get(this.me.id)?.read ?? 0) ? newest : 0
  }

  unread({ messages, marks }) {
    const read = marks.get(this.me.id)?.read ?? 0
    return messages.filter(({ id, author }) => id > read && author !== this.me.id).length
  }

  #add(id) {
    const pair = id.split('.')
    const peer = pair.length === 2 ? this.people.get(pair.find(user => user !== this.me.id)) : undefined
    const conversation = {
      id,
      peer,
      title: peer?.name ?? GROUP,
      /** By id. */
      messages: [],
      /** Ours that the origin does not have yet, by key. */
      pending: new Map(),
      /** By user: up to which message delivered and read. */
      marks: new Map(),
      /** Ids of those who are writing. */
      typing: new Set(),
    }
    this.conversations.set(id, conversation)
    return conversation
  }
}
