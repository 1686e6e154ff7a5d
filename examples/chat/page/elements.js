/** The pieces of the page. Texts get in by `textContent` alone, so a message can never become markup. */
const COLOURS = 8
const SVG = 'http://www.w3.org/2000/svg'

export const at = id => document.getElementById(id)
export const clock = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
const calendar = new Intl.DateTimeFormat('en', { weekday: 'long', day: 'numeric', month: 'long' })
const short = new Intl.DateTimeFormat('en', { day: 'numeric', month: 'short' })

export function element(tag, className, text = '') {
  const made = document.createElement(tag)
  made.className = className
  made.textContent = text
  return made
}

export function buttonElement(text, onclick) {
  return Object.assign(element('button', '', text), { type: 'button', onclick })
}

/** Sets a text only if it differs: what is read aloud when it changes stays silent otherwise. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text
}

export function icon(name) {
  const made = document.createElementNS(SVG, 'svg')
  const use = document.createElementNS(SVG, 'use')
  made.setAttribute('aria-hidden', 'true')
  use.setAttribute('href', `#icon-${name}`)
  made.append(use)
  return made
}

/** Returns a round picture: the first letter of a name, in a colour that stays the same for this user. */
export function avatar({ id, name }) {
  const made = element('span', 'avatar', [...name][0].toUpperCase())
  made.dataset.colour = id === 'origin' ? 0 : [...id].reduce((sum, char) => sum * 7 + char.codePointAt(0), 0) % COLOURS
  made.ariaHidden = 'true'
  return made
}

/** Returns the picture of a conversation: that of the other, or of a group. */
export function face({ peer }) {
  if (peer) return avatar(peer)
  const made = element('span', 'avatar group')
  made.ariaHidden = 'true'
  made.append(icon('people'))
  return made
}

export const dayOf = time => {
  const today = calendar.format(Date.now())
  const day = calendar.format(time)
  return day === today ? 'Today' : day
}

/** Returns when something was, in few letters: the time if it was today, else the day. */
export function briefly(time) {
  return dayOf(time) === 'Today' ? clock.format(time) : short.format(time)
}

/** Returns names as one says them: `Alice, Bob and Carol`. */
export function namesOf(people) {
  const names = people.map(({ name }) => name)
  return names.length < 2 ? (names[0] ?? '') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`
}

/** Returns who is writing, in words; '' if nobody is. */
export function typingIn(conversation, model) {
  const writers = [...conversation.typing].map(id => model.person(id))
  if (writers.length === 0) return ''
  return conversation.peer ? 'typing…' : `${namesOf(writers)} ${writers.length === 1 ? 'is' : 'are'} typing…`
}
