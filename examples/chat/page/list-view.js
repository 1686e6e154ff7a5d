import { at, briefly, element, face, setText, typingIn } from './elements.js'

/** The list of conversations, the newest on top. */
export class ListView {
  #model
  #items = new Map()

  constructor(model) {
    this.#model = model
  }

  render(open) {
    const model = this.#model
    const inOrder = [...model.conversations.values()].toSorted((one, other) => lastOf(other) - lastOf(one))
    for (const conversation of inOrder) this.#show(conversation, conversation.id === open)
    this.#arrange(inOrder.map(({ id }) => this.#items.get(id).row))
    const unread = inOrder.reduce((sum, conversation) => sum + model.unread(conversation), 0)
    document.title = unread === 0 ? 'Throughline messenger' : `(${unread}) Throughline messenger`
  }

  focus(id) {
    this.#items.get(id)?.link.focus()
  }

  #show(conversation, isOpen) {
    const model = this.#model
    const item = this.#items.get(conversation.id) ?? this.#make(conversation)
    const last = [...conversation.messages.slice(-1), ...conversation.pending.values()].at(-1)
    const typing = typingIn(conversation, model)
    const unread = model.unread(conversation)
    const author = !last || conversation.peer ? '' : `${model.person(last.author).name}: `
    const isOurs = last?.author === model.me.id
    setText(item.preview, typing || (last ? `${isOurs ? 'You: ' : author}${last.text}` : 'No messages yet'))
    item.preview.classList.toggle('typing', typing !== '')
    setText(item.time, last ? briefly(last.at) : '')
    setText(item.badge, unread === 0 ? '' : `${unread}`)
    item.badge.ariaLabel = unread === 0 ? null : `${unread} unread`
    const isOnline = conversation.peer && model.online.has(conversation.peer.id)
    item.dot.hidden = !isOnline
    if (isOpen) item.link.ariaCurrent = 'true'
    else item.link.removeAttribute('aria-current')
  }

  #make(conversation) {
    const row = element('li', '')
    const link = element('a', 'item')
    link.href = `#${conversation.id}`
    const dot = element('span', 'dot')
    dot.role = 'img'
    dot.ariaLabel = 'online'
    const picture = element('span', 'picture')
    picture.append(face(conversation), dot)
    const item = {
      row,
      link,
      dot,
      preview: element('span', 'preview'),
      time: element('time', ''),
      badge: element('span', 'badge'),
    }
    item.badge.role = 'img'
    // The name first, as it is read aloud; the style places them.
    link.append(element('span', 'name', conversation.title), picture, item.time, item.preview, item.badge)
    row.append(link)
    this.#items.set(conversation.id, item)
    return item
  }

  /** Puts rows in order, and moves only those that are not: one that is moved would lose the focus. */
  #arrange(rows) {
    const focused = document.activeElement
    rows.forEach((row, index) => {
      if (at('list').children[index] !== row) at('list').insertBefore(row, at('list').children[index] ?? null)
    })
    if (focused?.classList.contains('item')) focused.focus()
  }
}

function lastOf({ messages }) {
  return messages.at(-1)?.at ?? 0
}
