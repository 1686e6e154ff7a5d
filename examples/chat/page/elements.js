/** The pieces of the page. Texts get in by `textContent` alone, so a message can never become markup. */
const COLOURS = 8
const TOGETHER_MS = 5 * 60_000 // messages of one author within this time form a group

export const clock = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
const calendar = new Intl.DateTimeFormat('en', { weekday: 'long', day: 'numeric', month: 'long' })

export function element(tag, className, text = '') {
  const made = document.createElement(tag)
  made.className = className
  made.textContent = text
  return made
}

/** Returns a round picture: the first letter of a name, in a colour that stays the same for this user. */
export function avatar({ id, name }) {
  const made = element('span', 'avatar', [...name][0].toUpperCase())
  made.dataset.colour = [...id].reduce((sum, char) => sum + char.codePointAt(0), 0) % COLOURS
  made.ariaHidden = 'true'
  return made
}

/** Returns the square picture of a thread. */
export function tile(index, name) {
  const made = element('span', 'tile', name[0])
  made.dataset.colour = (index * 3) % COLOURS
  made.ariaHidden = 'true'
  return made
}

/** Returns a message. One that is not saved yet has no id and stays last. */
export function messageElement({ id = Infinity, author, text, at }, isOwn) {
  const made = element('li', isOwn ? 'message own' : 'message')
  Object.assign(made.dataset, { id, at, author: author.id, date: calendar.format(at) })
  const time = element('time', '', clock.format(at))
  time.dateTime = new Date(at).toISOString()
  const words = element('p', 'text', text)
  words.dir = 'auto' // a text that runs from right to left does not turn its neighbours round
  const bubble = element('div', 'bubble')
  bubble.append(words, time)
  const said = element('div', 'said')
  said.append(element('p', 'author', author.name), bubble)
  made.append(avatar(author), said)
  return made
}

/** Puts a message where its id belongs: nearly always at the end. */
export function placeByNumber(list, made) {
  let before = list.lastElementChild
  while (before && Number(before.dataset.id) > Number(made.dataset.id)) before = before.previousElementSibling
  if (before) before.after(made)
  else list.prepend(made)
  group(made)
  group(made.nextElementSibling)
}

/** Marks a message that begins a day, and one that goes on with its author's last. */
function group(made) {
  if (!made) return
  const last = made.previousElementSibling?.dataset
  const { author, at, date } = made.dataset
  const beginsDay = last?.date !== date
  made.classList.toggle('begins-day', beginsDay)
  made.classList.toggle('goes-on', !beginsDay && last.author === author && at - last.at < TOGETHER_MS)
}
