import { at, buttonElement, clock, dayOf, element, face, icon, namesOf, avatar, setText, typingIn } from './elements.js'

/** The open conversation: who is in it, what was said, and how far it has got. */
const TOGETHER_MS = 5 * 60_000 // messages of one author within this time form a group
const NEAR_END_PX = 80
const WORDS = { waiting: 'Waiting to be sent', sent: 'Sent', delivered: 'Delivered', seen: 'Seen', failed: 'Not sent' }

export class ThreadView {
  #model
  #on
  #open
  #shown = new Map()

  /** `on`: `retry(message)`, `discard(message)`, `read()`. */
  constructor(model, on) {
    this.#model = model
    this.#on = on
    at('scroll').onscroll = () => {
      if (!this.isAtEnd) return
      at('jump').hidden = true
      on.read()
    }
    at('jump').onclick = () => this.#toEnd()
  }

  get isAtEnd() {
    const { scrollTop, scrollHeight, clientHeight } = at('scroll')
    return scrollHeight - scrollTop - clientHeight < NEAR_END_PX
  }

  render(id) {
    const conversation = this.#model.conversations.get(id)
    at('conversation').hidden = !conversation
    const isOther = this.#open !== id
    this.#open = id
    if (isOther) {
      at('messages').replaceChildren()
      this.#shown.clear()
      at('jump').hidden = true
      if (conversation) this.#enter(conversation)
    }
    if (!conversation) return
    const wasAtEnd = isOther || this.isAtEnd
    setText(at('about'), this.#about(conversation))
    at('about').classList.toggle('typing', conversation.typing.size > 0)
    at('dots').hidden = conversation.typing.size === 0
    const all = [...conversation.messages, ...conversation.pending.values()]
    at('empty').hidden = all.length > 0
    const isNew = all.map((message, index) => this.#show(conversation, message, all[index - 1], index))
    if (wasAtEnd || all.some((message, index) => isNew[index] && !message.id)) this.#toEnd()
    else if (isNew.includes(true)) at('jump').hidden = false
  }

  #enter(conversation) {
    const { title, peer } = conversation
    setText(at('title'), title)
    at('face').replaceChildren(face(conversation))
    at('ring').hidden = !peer
    at('messages').classList.toggle('pair', Boolean(peer))
    at('ring').ariaLabel = `Call ${title}`
    at('text').placeholder = peer ? `Write to ${title}` : 'Write to everyone'
    setText(at('empty'), peer ? `Nothing here yet. Say hello to ${title}!` : 'Nothing here yet.')
  }

  #about(conversation) {
    const typing = typingIn(conversation, this.#model)
    const { peer } = conversation
    const others = this.#model.others(conversation)
    if (typing) return typing
    if (!peer) return `You, ${namesOf(others)}`
    if (!this.#model.isOnlineKnown) return 'presence unknown'
    return this.#model.online.has(peer.id) ? 'online' : 'not here at the moment'
  }

  /** Shows a message at its place. Returns whether it is new here. */
  #show(conversation, message, before, index) {
    const { author, key, text, at: time } = message
    const isOwn = author === this.#model.me.id
    const name = `${author} ${key}`
    const made = this.#shown.get(name) ?? this.#make(message, isOwn)
    const isNew = !this.#shown.has(name)
    this.#shown.set(name, made)
    const { children } = at('messages')
    if (children[index] !== made.row) at('messages').insertBefore(made.row, children[index] ?? null)
    const beginsDay = !before || dayOf(before.at) !== dayOf(time)
    made.row.classList.toggle('begins-day', beginsDay)
    made.row.dataset.day = dayOf(time)
    made.row.classList.toggle('goes-on', !beginsDay && before.author === author && time - before.at < TOGETHER_MS)
    setText(made.text, text)
    if (isOwn) this.#showProgress(conversation, message, made)
    return isNew
  }

  #showProgress(conversation, message, { row, tick, problem }) {
    const { state, by } = this.#model.progress(conversation, message)
    const whom = conversation.peer || by.length === 0 ? '' : ` ${state === 'seen' ? 'by' : 'to'} ${namesOf(by)}`
    row.classList.toggle('failed', state === 'failed')
    problem.hidden = state !== 'failed'
    if (state === 'failed' && !problem.firstChild) this.#showProblem(problem, message)
    tick.ariaLabel = tick.title = WORDS[state] + whom
    if (tick.dataset.state === state) return
    tick.dataset.state = state
    tick.replaceChildren(icon({ failed: 'waiting', seen: 'delivered' }[state] ?? state))
  }

  #showProblem(problem, message) {
    problem.append(
      `${message.problem} `,
      buttonElement('Try again', () => {
        problem.replaceChildren()
        this.#on.retry(message)
      }),
      ' ',
      buttonElement('Discard', () => {
        this.#shown.delete(`${message.author} ${message.key}`)
        problem.closest('li').remove()
        this.#on.discard(message)
      }),
    )
  }

  #make({ author, at: time }, isOwn) {
    const who = this.#model.person(author)
    const row = element('li', isOwn ? 'message own' : 'message')
    const words = element('p', 'text')
    words.dir = 'auto' // a text that runs from right to left does not turn its neighbours round
    const when = element('time', '', clock.format(time))
    when.dateTime = new Date(time).toISOString()
    const tick = element('span', 'tick')
    tick.role = 'img'
    const meta = element('span', 'meta')
    meta.append(when, ...(isOwn ? [tick] : []))
    const bubble = element('div', 'bubble')
    bubble.append(words, meta)
    const problem = element('p', 'problem')
    problem.hidden = true
    const said = element('div', 'said')
    said.append(element('p', 'author', isOwn ? 'You' : who.name), bubble, problem)
    row.append(avatar(who), said)
    return { row, text: words, tick, problem }
  }

  #toEnd() {
    at('scroll').scrollTop = at('scroll').scrollHeight
    at('jump').hidden = true
  }
}
