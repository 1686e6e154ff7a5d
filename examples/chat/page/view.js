import { avatar, clock, element, messageElement, placeByNumber, tile } from './elements.js'

/** What one sees, and what one does there. Knows nothing of relay and origin. */

const NEAR_END_PX = 80

const STATES = {
  connecting: ['Connecting', 'Connecting to the relay'],
  live: ['Live', 'Connected to the relay: messages arrive at once'],
  waiting: ['Reconnecting', 'No relay at the moment: asking the origin every 5 seconds'],
  offline: ['Offline', 'Neither the relay nor the origin answers; still trying'],
  closed: ['Disconnected', 'The relay has ended this connection for good: reload the page'],
}

const at = id => document.getElementById(id)

export class View {
  #on
  #me
  #threads = new Map() // id → its name, its elements, how much is unread
  #open // the id of the thread that one reads
  #drafts = new Map()
  #pending = new Map() // key → element
  #isCounting = false

  /** @param {{ login: (name: string) => void, send: (thread: string, text: string) => void }} on */
  constructor(on) {
    this.#on = on
    at('login').onsubmit = event => {
      event.preventDefault()
      on.login(at('name').value)
    }
    at('composer').onsubmit = event => {
      event.preventDefault()
      this.#submit()
    }
    at('text').onkeydown = event => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
      event.preventDefault()
      this.#submit()
    }
    at('text').oninput = () => {
      const isFollowed = this.#isNearEnd()
      fit(at('text'))
      if (isFollowed) this.#scrollToEnd()
    }
    at('scroll').onscroll = () => {
      if (this.#isNearEnd()) at('jump').hidden = true
    }
    at('jump').onclick = () => this.#scrollToEnd()
    document.addEventListener('visibilitychange', () => this.#open && this.#markRead())
  }

  askName(name = '', problem = '') {
    at('login').hidden = false
    at('name').value = name
    at('login').querySelector('.problem').textContent = problem
    at('name').focus()
  }

  enter(me, threads) {
    this.#me = me
    at('login').hidden = true
    at('app').hidden = false
    at('me').replaceChildren(avatar(me), element('span', 'name', me.name))
    for (const thread of threads) this.#addThread(thread)
    this.#openThread(threads[0].id)
  }

  /** From here on, what comes in is news. */
  startCounting() {
    this.#isCounting = true
  }

  showState(state, reason) {
    const [label, title] = STATES[state]
    const pill = at('state')
    if (pill.textContent !== label) pill.textContent = label
    pill.dataset.state = state
    pill.title = reason ? `${title} (${reason})` : title
  }

  note(text) {
    at('note').textContent = text
  }

  /** Shows a saved message at its place; one of our own takes the place of what was shown while it was being saved. */
  show(message) {
    const thread = this.#threads.get(message.thread)
    this.#pending.get(message.key)?.remove()
    this.#pending.delete(message.key)
    this.#insert(thread, message)
    if (thread.newest > message.id) return
    thread.newest = message.id
    thread.preview.textContent = `${message.author.id === this.#me.id ? 'You' : message.author.name}: ${message.text}`
    thread.time.textContent = clock.format(message.at)
    thread.time.dateTime = new Date(message.at).toISOString()
    if (this.#isCounting && message.author.id !== this.#me.id) this.#count(thread)
  }

  /** Shows a message of our own before it is saved. */
  showPending(message) {
    this.#pending.get(message.key)?.remove()
    const shown = this.#insert(this.#threads.get(message.thread), message)
    shown.classList.add('pending')
    this.#pending.set(message.key, shown)
    this.#scrollToEnd()
  }

  showFailed(key, problem, tryAgain) {
    const shown = this.#pending.get(key)
    if (!shown) return
    shown.classList.add('failed')
    const button = element('button', '', 'Try again')
    button.type = 'button'
    button.onclick = tryAgain
    const line = element('p', 'problem', `Not saved: ${problem} `)
    line.append(button)
    shown.querySelector('.said').append(line)
    this.#scrollToEnd()
  }

  #insert({ id, list }, message) {
    const isOwn = message.author.id === this.#me.id
    const isFollowed = this.#open === id && this.#isNearEnd()
    const shown = messageElement(message, isOwn)
    placeByNumber(list, shown)
    if (isFollowed) this.#scrollToEnd()
    else if (this.#open === id && !isOwn) at('jump').hidden = false
    return shown
  }

  #addThread({ id, name, about }) {
    const button = element('button', 'thread')
    const thread = {
      id,
      name,
      about,
      button,
      list: element('ol', 'messages'),
      preview: element('span', 'preview'),
      time: element('time', ''),
      badge: element('span', 'badge'),
      unread: 0,
      newest: 0,
    }
    button.type = 'button'
    button.onclick = () => this.#openThread(id)
    button.append(
      tile(this.#threads.size, name),
      element('span', 'name', name),
      thread.time,
      thread.preview,
      thread.badge,
    )
    const item = document.createElement('li')
    item.append(button)
    at('threads').append(item)
    thread.list.hidden = true
    at('scroll').append(thread.list)
    this.#threads.set(id, thread)
  }

  #openThread(id) {
    this.#drafts.set(this.#open, at('text').value)
    this.#open = id
    for (const thread of this.#threads.values()) {
      thread.list.hidden = thread.id !== id
      thread.button.ariaCurrent = String(thread.id === id)
    }
    const { name, about } = this.#threads.get(id)
    at('title').textContent = name
    at('about').textContent = about
    at('text').placeholder = `Write to ${name}`
    at('text').value = this.#drafts.get(id) ?? ''
    fit(at('text'))
    this.#scrollToEnd()
    this.#markRead()
    // On a phone this would raise the keyboard over what one came to read.
    if (matchMedia('(hover: hover)').matches) at('text').focus()
  }

  #submit() {
    const text = at('text').value.trim()
    if (text === '') return
    at('text').value = ''
    fit(at('text'))
    this.#on.send(this.#open, text)
  }

  #count(thread) {
    if (thread.id === this.#open && document.visibilityState === 'visible') return
    thread.unread++
    this.#showUnread(thread)
  }

  #markRead() {
    if (document.visibilityState !== 'visible') return
    const thread = this.#threads.get(this.#open)
    thread.unread = 0
    this.#showUnread(thread)
  }

  #showUnread({ badge, unread }) {
    badge.textContent = unread === 0 ? '' : `${unread}`
    badge.ariaLabel = unread === 0 ? '' : `${unread} new`
    const all = [...this.#threads.values()].reduce((sum, thread) => sum + thread.unread, 0)
    document.title = all === 0 ? 'Throughline chat' : `(${all}) Throughline chat`
  }

  #isNearEnd() {
    const { scrollTop, scrollHeight, clientHeight } = at('scroll')
    return scrollHeight - scrollTop - clientHeight < NEAR_END_PX
  }

  #scrollToEnd() {
    at('scroll').scrollTop = at('scroll').scrollHeight
    at('jump').hidden = true
  }
}

/** Lets the box grow with its text, up to the height that the style sheet sets. */
function fit(box) {
  box.style.height = 'auto'
  box.style.height = `${box.scrollHeight + 2}px` // and its border
}
