import { Origin } from './origin.js'
import { Relay } from './relay.js'
import { View } from './view.js'

/**
 * Ties the three together: the origin has the messages, the relay says at once when there is a new one, the view shows
 * them. Without the relay the page asks the origin every few seconds, so the chat is slower but whole.
 */
const POLL_MS = 5000

const origin = new Origin()
const threads = new Map()
const view = new View({ login: name => void login(name), send: (thread, text) => void send(thread, text) })
let me
let relay
let state

const name = new URLSearchParams(location.search).get('as')
if (name) await login(name)
else view.askName()

async function login(name) {
  try {
    const session = await origin.login(name)
    me = session.user
    for (const thread of session.threads) threads.set(thread.id, { id: thread.id, last: 0, shown: new Set() })
    history.replaceState(null, '', `?${new URLSearchParams({ as: me.name })}`)
    view.enter(me, session.threads)
    setState('connecting')
  } catch (error) {
    return view.askName(name, error.message)
  }
  await syncAll()
  view.startCounting()
  follow()
}

function follow() {
  relay = new Relay({
    threads: [...threads.keys()],
    access: () => origin.access(),
    onEvent: take,
    onMissed: async chain => {
      const thread = threads.get(chain.replace('thread:', ''))
      if (thread) await sync(thread)
    },
    onState: setState,
  })
  void relay.open()
  setInterval(() => state !== 'live' && syncAll(), POLL_MS)
}

/** Takes an event of the relay. Our own comes without content: it moves the mark, and the message itself came with the answer to `save`. */
function take(event) {
  const thread = threads.get(event.chain?.replace('thread:', ''))
  if (!thread) return
  thread.last = Math.max(thread.last, Number(event.id))
  if (event.type === 'message' && show(event.data)) view.note(`Came through the relay ${since(event.data.at)}.`)
}

/** Asks the origin for what is new in a thread. */
async function sync(thread) {
  for (let more = true; more; ) {
    const answer = await origin.messages(thread.id, thread.last)
    const isNew = answer.messages.map(show).includes(true)
    // `last` moves here and in `take` only, where nothing before it can be missing. That we saved message 7
    // ourselves does not mean that we have seen 6.
    thread.last = Math.max(thread.last, answer.messages.at(-1)?.id ?? 0)
    if (isNew) view.note('Fetched from the origin.')
    more = answer.more
  }
}

async function syncAll() {
  try {
    await Promise.all([...threads.values()].map(sync))
    if (state === 'offline') setState('waiting')
  } catch {
    if (state !== 'closed') setState('offline')
  }
}

function setState(now, reason) {
  if (now === state) return
  state = now
  view.showState(now, reason)
}

async function send(thread, text, key = crypto.randomUUID()) {
  view.showPending({ thread, author: me, text, at: Date.now(), key })
  try {
    show(await origin.save({ thread, text, key, connection: relay?.connection }))
    view.note('Saved by the origin.')
  } catch (error) {
    view.showFailed(key, error.message, () => void send(thread, text, key))
  }
}

/** Shows a message, once: it may come by the relay, by a question to the origin, and as the answer to `save`. */
function show(message) {
  const { shown } = threads.get(message.thread)
  if (shown.has(message.id)) return false
  shown.add(message.id)
  view.show(message)
  return true
}

function since(at) {
  return `${Math.max(1, Date.now() - at)} ms after it was saved`
}
