/** A page that follows threads over a real relay: what it is given, and what it is not asked for. */
import { connect, type RelayEvent } from '@throughline/client'
import { t } from 'tap'
import { WebSocket } from 'ws'
import { MessengerOrigin } from '../support/messenger-origin.ts'
import { call, Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'
import { openPage } from './page.ts'

const site = new Site('acme')
const relay = await startRelay(t, site.entry())
const origin = await MessengerOrigin.open(t, { site, relay: () => relay })

await t.test('a page loads what there is, is live, and then is given each event as it is published', async t => {
  origin.save('thread:1', 'before')
  await until(() => origin.waiting === 0, { what: 'a published event' })
  const page = openPage(t, origin, relay.ws, { threads: ['1'] })
  await page.relay.ready
  t.same(page.ids('thread:1'), origin.ids('thread:1'))
  t.same(
    origin.questions.map(({ chains }) => Object.keys(chains).toSorted()),
    [['site', 'thread:1', 'user']],
    'one question for all chains',
  )
  origin.save('thread:1', { text: 'live' })
  await until(() => page.ids('thread:1').length === 2, { what: 'a live event' })
  t.match(page.events.at(-1), { type: 'message', thread: '1', data: { text: 'live' }, chain: 'thread:1', from: 'live' })
  t.same(page.states, ['catching-up', 'live'])
  t.equal(origin.questions.length, 1, 'nothing was asked again')
  t.same(page.errors, [])
})

await t.test('a page hears its own user and the site, and listens by type', async t => {
  const page = openPage(t, origin, relay.ws)
  await page.relay.ready
  const mentions: unknown[] = []
  const reported = t.capture(globalThis.console, 'error')
  const off = page.relay.on('event:mention', ({ data }) => mentions.push(data))
  page.relay.on('event:mention', () => {
    throw new Error('a listener that throws stops nobody')
  })
  const last = page.relay.on('event:mention', ({ data }) => mentions.push(data))
  origin.save('user:7', 1, { type: 'mention' })
  origin.save('site', 2, { type: 'news' })
  await until(() => page.events.length === 2, { what: 'two events' })
  t.same(page.events.map(({ chain, data }) => `${chain} ${data as number}`).toSorted(), ['site 2', 'user 1'])
  t.same(mentions, [1, 1])
  t.match(reported()[0]!.args, [{ message: 'a listener that throws stops nobody' }])
  off()
  last()
  origin.save('user:7', 3, { type: 'mention' })
  await until(() => page.events.length === 3, { what: 'another' })
  t.same(mentions, [1, 1], 'a listener that was taken off hears no more')
})

await t.test('what a page sends reaches those who are there, and refusals come with the code of the relay', async t => {
  const ann = openPage(t, origin, relay.ws, { user: '7', threads: ['2'] })
  const bob = openPage(t, origin, relay.ws, { user: '8', threads: ['2'] })
  await Promise.all([ann.relay.ready, bob.relay.ready])
  const here = ann.relay.subscribe('2')
  await here.ready
  const heard: RelayEvent[] = []
  bob.relay.on('event', event => {
    if (event.sender) heard.push(event)
  })
  await here.send('typing', { typing: true })
  await until(() => heard.length === 1, { what: 'what was sent' })
  t.match(heard[0], { type: 'typing', thread: '2', data: { typing: true }, sender: { user: '7' }, from: 'live' })
  t.equal(heard[0]!.sender!.connection, ann.relay.connection)
  await here.send('call.offer', 1, { to: { user: '8' } })
  await until(() => heard.length === 2, { what: 'what was sent to one user' })
  await t.rejects(here.send('message', 'as if by the origin'), { name: 'RelayError', code: 'type_not_allowed' })
  const elsewhere = ann.relay.subscribe('3')
  await t.rejects(elsewhere.ready, { code: 'thread_not_allowed', message: /does not name this thread/ })
  t.throws(() => ann.relay.subscribe('no id'), /wrong id: no id/)
  await until(() => ann.relay.state === 'live', { what: 'a live page, in spite of the refused thread' })
  t.same(
    ann.events.filter(({ sender }) => sender),
    [],
    'who sends hears nothing of it',
  )
})

await t.test('several subscriptions of a page to one thread are one at the relay, until the last has gone', async t => {
  const page = openPage(t, origin, relay.ws, { threads: ['4'] })
  await page.relay.ready
  const one = page.relay.subscribe('4')
  const two = page.relay.subscribe(4)
  const heard: string[] = []
  one.on('event', () => heard.push('one'))
  two.on('event:message', () => heard.push('two'))
  origin.save('thread:4', 1)
  await until(() => heard.length === 2, { what: 'both to hear' })
  one.unsubscribe()
  origin.save('thread:4', 2)
  await until(() => heard.length === 3, { what: 'one to hear' })
  t.same(heard, ['one', 'two', 'two'])
})

await t.test('a grant lets a page into a thread that its token does not name', async t => {
  const page = openPage(t, origin, relay.ws)
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: 'acme', aud: 'throughline:grant', sub: '7', iat: now, exp: now + 60, threads: { 5: ['read'] } }
  const thread = page.relay.subscribe('5', { grant: site.sign(claims) })
  await thread.ready
  t.same(page.errors, [])
})

await t.test('who is in a thread follows joins and leaves, and a reconnect', async t => {
  const ann = openPage(t, origin, relay.ws, { user: '7', threads: ['6'] })
  const thread = ann.relay.subscribe('6', { presence: true })
  const told: string[] = []
  thread.on('presence', ({ joined, left, count }) =>
    told.push(`${joined.map(({ user }) => user).join(' ')}/${left.join(' ')}/${count}`),
  )
  const users = (): string => [...(thread.members?.keys() ?? [])].toSorted().join(' ')
  await until(() => users() === '7', { what: 'oneself' })
  const others = ['8', '9'].map(user => openPage(t, origin, relay.ws, { user, threads: ['6'] }))
  await until(() => users() === '7 8 9' && thread.count === 3, { what: 'all three' })
  t.same(thread.members!.get('8')!.info, { name: 'User 8' })
  others[0]!.relay.close()
  await until(() => users() === '7 9' && thread.count === 2, { what: 'two' })
  ann.relay.reconnect()
  others[1]!.relay.close()
  const late = openPage(t, origin, relay.ws, { user: '10', threads: ['6'] })
  await until(() => ann.relay.state === 'live' && users() === '10 7' && thread.count === 2, { what: () => users() })
  t.equal((await ann.relay.presence('6')).members.length, 2)
  t.ok(told.some(line => line.includes('8')))
  late.relay.close()
  await until(() => users() === '7', { what: () => users() })
})

await t.test('a page that watches users is told when they come and go', async t => {
  const ann = openPage(t, origin, relay.ws, { user: '7' })
  await ann.relay.ready
  const watch = ann.relay.watch(['20', '21'])
  const changes: unknown[] = []
  watch.on('change', ({ users }) => changes.push(users))
  await until(() => watch.online.size === 2, { what: 'the first answer' })
  t.same(Object.fromEntries(watch.online), { 20: false, 21: false })
  openPage(t, origin, relay.ws, { user: '20' })
  await until(() => watch.online.get('20'), { what: 'the other to come' })
  t.same(changes.at(-1), { 20: true })
  const { connection } = ann.relay
  ann.relay.reconnect()
  await until(() => ann.relay.state === 'live' && ann.relay.connection !== connection, { what: 'another connection' })
  const late = ann.relay.watch(['21'])
  openPage(t, origin, relay.ws, { user: '21' })
  await until(() => watch.online.get('21') && late.online.get('21'), { what: 'the other, on another connection' })
  watch.close()
})

await t.test('a page answers receipts by itself, once it has given the event', async t => {
  const author = openPage(t, origin, relay.ws, { user: '7', threads: ['7'] })
  const reader = openPage(t, origin, relay.ws, { user: '8', threads: ['7'] })
  const silent = openPage(t, origin, relay.ws, { user: '9', threads: ['7'], receipts: false })
  await Promise.all([author.relay.ready, reader.relay.ready, silent.relay.ready])
  const delivered: unknown[] = []
  author.relay.on('event:delivered', ({ data }) => delivered.push(data))
  const ids = [1, 2, 3].map(data => origin.save('thread:7', data, { receipt_to: '7' }).id)
  await until(() => (delivered as { ids: string[] }[]).flatMap(({ ids }) => ids).length >= 3, { what: 'receipts' })
  const of = (user: string): string[] =>
    (delivered as { ids: string[]; user: string }[]).filter(told => told.user === user).flatMap(({ ids }) => ids)
  t.same(of('8'), ids)
  t.same(of('9'), [])
})

await t.test('an event that the page shows already is not given again', async t => {
  const page = openPage(t, origin, relay.ws, { threads: ['8'] })
  await page.relay.ready
  page.relay.saw('thread.8.1')
  origin.save('thread:8', 1)
  origin.save('thread:8', 2)
  await until(() => page.ids('thread:8').length === 1, { what: 'the other one' })
  t.same(page.ids('thread:8'), ['thread.8.2'])
})

await t.test('an event that leaves this connection out is not given, and nothing is asked for it', async t => {
  const page = openPage(t, origin, relay.ws, { threads: ['9'] })
  await page.relay.ready
  const asked = origin.questions.length
  origin.save('thread:9', 'mine', { except: page.relay.connection! })
  origin.save('thread:9', 'theirs')
  await until(() => page.ids('thread:9').length === 1, { what: 'the other one' })
  t.same(page.ids('thread:9'), ['thread.9.2'])
  t.equal(origin.questions.length, asked)
})

await t.test('stamps that the page brings spare the first question', async t => {
  const { body } = await call(relay, site.server(), '/v1/heads', { chains: ['thread:8', 'user:7', 'site'] })
  const { 'user:7': user, ...heads } = body.heads as Record<string, number>
  const asked = origin.questions.length
  const page = openPage(t, origin, relay.ws, { threads: ['8'], since: { ...heads, user: user! } })
  await page.relay.ready
  origin.save('thread:8', 3)
  await until(() => page.ids('thread:8').length === 1, { what: 'a live event' })
  t.equal(origin.questions.length, asked)
})

await t.test('a removed member is told and hears no more; let in again, it does', async t => {
  const page = openPage(t, origin, relay.ws, { user: '30', threads: ['10'] })
  await page.relay.ready
  const told: string[][] = []
  page.relay.on('members', ({ perms }) => told.push([...perms]))
  const change = (body: object): unknown => call(relay, site.server(), '/v1/threads/10/members', body)
  await change({ remove: ['30'] })
  await until(() => told.length === 1, { what: 'the removal' })
  t.same(told, [[]])
  origin.save('thread:10', 'unheard')
  await until(() => origin.waiting === 0, { what: 'a published event' })
  await change({ add: { 30: ['read'] } })
  await until(() => page.ids('thread:10').length === 1, { what: 'what was missed' })
  t.equal(page.events[0]!.from, 'fetched')
  t.equal(page.relay.state, 'live')
})

await t.test('before its token expires a page gets another, and its connection stays', async t => {
  const now = Math.floor(Date.now() / 1000)
  origin.claims = { exp: now + 4 }
  const before = origin.tokens
  const page = openPage(t, origin, relay.ws, { threads: ['11'] })
  await page.relay.ready
  origin.claims = {}
  const { connection } = page.relay
  await until(() => origin.tokens === before + 2, { what: 'another token' })
  t.ok(Date.now() / 1000 < now + 4, 'it was asked for in time')
  await page.relay.refresh()
  t.equal(origin.tokens, before + 3)
  t.equal(page.relay.connection, connection)
  t.same(page.errors, [])
})

await t.test('a page of a web origin that the site does not list is sent away for good', async t => {
  class FromElsewhere extends WebSocket {
    constructor(url: string, protocol: string) {
      super(url, protocol, { origin: 'https://elsewhere.example' })
    }
  }
  const page = openPage(t, origin, relay.ws, { WebSocket: FromElsewhere })
  await t.rejects(page.relay.ready, { code: 'origin_not_allowed' })
  t.equal(page.relay.state, 'offline')
})

await t.test('the types of events give their data its type', async t => {
  const token = site.user('7', { 12: ['read'] })
  const typed = connect<{ message: { text: string } }>({ url: relay.ws, token, fetchSince: () => [], WebSocket })
  t.teardown(() => typed.close())
  const texts: string[] = []
  typed.on('event:message', ({ data }) => texts.push(data.text))
  // @ts-expect-error there is no such event
  typed.on('event:massage', () => {})
  // @ts-expect-error nor has it such data
  typed.on('event:message', ({ data }) => data.title)
  await typed.subscribe('12').ready
  origin.save('thread:12', { text: 'typed' })
  await until(() => texts.length === 1, { what: 'the event' })
  t.same(texts, ['typed'])
})
