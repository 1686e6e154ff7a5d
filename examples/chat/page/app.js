import { CallView } from './call-view.js'
import { Calls } from './call.js'
import { Composer } from './composer.js'
import { at, avatar, element } from './elements.js'
import { LinkView } from './link-view.js'
import { ListView } from './list-view.js'
import { Live } from './live.js'
import { Model } from './model.js'
import { Origin, Refused } from './origin.js'
import { Sending } from './sending.js'
import { ThreadView } from './thread-view.js'

/**
 * Ties it together: the origin has the messages (origin.js), the relay says at once when there is news (live.js), the
 * model knows what there is, and the views show it.
 */
const RETRY_MS = 2000
const isWide = matchMedia('(min-width: 44.0625rem)')
const origin = new Origin()

at('login').onsubmit = event => {
  event.preventDefault()
  void enter(at('name').value)
}
const name = new URLSearchParams(location.search).get('as')
if (name) await enter(name)
else askName()

function askName(name = '', problem = '') {
  at('login').hidden = false
  at('name').value = name
  at('login').querySelector('.problem').textContent = problem
  at('name').focus()
}

async function enter(name) {
  let session
  try {
    session = await origin.login(name)
    session.inbox = await origin.inbox()
  } catch (error) {
    askName(name, error.message)
    // The demo may only be starting anew.
    if (!(error instanceof Refused)) setTimeout(() => void enter(name), RETRY_MS)
    return
  }
  history.replaceState(null, '', `?${new URLSearchParams({ as: session.me.name })}${location.hash}`)
  begin(session)
}

function close() {
  location.hash = ''
}

function begin({ me, relay: url, ice, inbox }) {
  const model = new Model(me, inbox)
  const list = new ListView(model)
  const thread = new ThreadView(model, { retry: message => sending.retry(message), discard, read })
  const link = new LinkView({ cut: () => origin.cut(), again: () => live.relay.reconnect() })
  const composer = new Composer({ send: text => sending.add(open, text), type: () => live.type(open) })
  let open
  let isDue = false

  const live = new Live({ url, since: inbox.since, origin, model, onchange: change, onstate, oncall })
  const calls = new Calls(me.id, {
    send: (...message) => live.send(...message),
    ice: askIce,
    on: { change, line: line => callView.line(line), clear: () => callView.clear() },
  })
  const callView = new CallView(calls, model)
  const sending = new Sending(me.id, message => origin.save(message), onsending)

  at('login').hidden = true
  at('app').hidden = false
  at('me').append(avatar(me), element('span', 'name', me.name))
  at('back').onclick = close
  at('ring').onclick = () => void calls.start(model.conversations.get(open))
  addEventListener('hashchange', go)
  addEventListener('keydown', event => event.key === 'Escape' && !event.isComposing && escape())
  document.addEventListener('visibilitychange', read)
  if (!location.hash && isWide.matches) history.replaceState(null, '', '#all')
  onstate(live.relay.state)
  sending.resume()
  go()

  function go() {
    const wanted = location.hash.slice(1)
    const before = open
    open = model.conversations.has(wanted) ? wanted : undefined
    at('app').dataset.open = open ?? ''
    render()
    composer.open(open)
    if (!open) list.focus(before)
  }

  function escape() {
    if (calls.current?.state === 'ringing') calls.hangUp()
    else close()
  }

  /** Renders soon, once for all that has changed meanwhile. */
  function change() {
    if (isDue) return
    isDue = true
    queueMicrotask(render)
  }

  function render() {
    isDue = false
    list.render(open)
    thread.render(open)
    link.showCounts(live.counts)
    callView.render()
    read()
  }

  /** What is in sight is read. */
  function read() {
    const upTo = open && model.unreadUpTo(model.conversations.get(open))
    if (upTo && document.visibilityState === 'visible' && thread.isAtEnd) {
      live.read(open, upTo)
      change()
    }
  }

  function onstate(state, error) {
    link.showState(state, error)
    if (state !== 'offline') sending.wake()
    change()
  }

  function onsending(message, event) {
    const { pending } = model.conversations.get(message.thread) ?? {}
    if (!pending) return sending.forget(message)
    if (event) model.take(message.thread, event)
    else pending.set(message.key, { ...message, author: me.id })
    live.typed()
    change()
  }

  function discard({ thread, key }) {
    model.conversations.get(thread).pending.delete(key)
    sending.forget({ key })
    change()
  }

  function oncall(type, { thread, sender, data }) {
    const { peer } = model.conversations.get(thread)
    if (peer && (sender.user === peer.id || sender.user === me.id)) void calls.take(type, thread, sender.user, data)
  }

  /** Returns STUN and TURN servers, if the relay has some (docs/turn.md). On one machine it goes without. */
  async function askIce() {
    if (!ice) return []
    const answer = await fetch(ice, { headers: { authorization: `Bearer ${await origin.token()}` } })
    return answer.ok ? (await answer.json()).iceServers : []
  }
}
