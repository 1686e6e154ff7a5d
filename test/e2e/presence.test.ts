/** Who is in a thread and who is online, over nodes, tabs and crashes (DESIGN §9, CONTRACT 20, 23). */
import t from 'tap'
import { Client, type Frame } from '../support/client.ts'
import { startRedis } from '../support/redis.ts'
import { call, metric, type Relay, Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'

t.setTimeout(300_000)

const redis = await startRedis(t)
const acme = new Site('acme')
const globex = new Site('globex')
const start = (): Promise<Relay> =>
  startRelay(t, { ...acme.entry(), ...globex.entry() }, { THROUGHLINE_BUS: redis.url })
const [a, b] = await Promise.all([start(), start()])
const server = acme.server()

const READ = ['read', 'presence']

/** A member who looks at the thread as well, as the protocol page tells clients to. */
class Watcher {
  readonly client: Client
  readonly thread: string
  readonly #first: string[]

  private constructor(client: Client, thread: string, first: string[]) {
    this.client = client
    this.thread = thread
    this.#first = first
  }

  static async join(node: Relay, sub: string, thread: string, claims: object = {}): Promise<Watcher> {
    const client = await Client.connect(t, node, acme.user(sub, { [thread]: READ }, claims))
    const answer = await client.ask('subscribe', { threads: [thread], presence: true })
    const { members } = answer['presence'][thread] as { members: { user: string }[] }
    return new Watcher(
      client,
      thread,
      members.map(({ user }) => user),
    )
  }

  get frames(): Frame[] {
    return this.client.frames.filter(
      ({ op, id, thread }) => op === 'presence' && id === undefined && thread === this.thread,
    )
  }

  /** Who is there, as far as this client was told. */
  get members(): string[] {
    const members = new Set(this.#first)
    for (const { joined, left } of this.frames) {
      for (const { user } of joined as { user: string }[]) members.add(user)
      for (const user of left as string[]) members.delete(user)
    }
    return [...members].toSorted()
  }

  async sees(...users: string[]): Promise<void> {
    await until(() => this.members.join() === users.toSorted().join(), {
      what: () => `${users.join()}; it sees ${this.members.join()}`,
    })
  }
}

const get = async (path: string, token = server): Promise<{ status: number; body: any }> => {
  const response = await fetch(a.api + path, { headers: { authorization: `Bearer ${token}` } })
  return { status: response.status, body: await response.json() }
}

await t.test('members come and go on every node, once however many tabs they have', async t => {
  const one = await Watcher.join(a, '1', 'p1', { info: { name: 'Ö' } })
  t.same(one.members, ['1'], 'oneself among them')
  const two = await Watcher.join(b, '2', 'p1')
  await one.sees('1', '2')
  await two.sees('1', '2')
  // Each node tells its own, so the count may be behind the names for a moment.
  await until(() => one.frames.at(-1)!['count'] === 2, { what: 'the count' })

  const tabs = [await Watcher.join(a, '3', 'p1'), await Watcher.join(b, '3', 'p1')]
  await one.sees('1', '2', '3')
  tabs[0]!.client.socket.terminate()
  const silent = await Client.connect(t, a, acme.user('4', { p1: ['read'] }))
  t.notOk('presence' in (await silent.subscribe('p1')))
  await one.sees('1', '2', '3', '4')
  tabs[1]!.client.socket.close()
  await one.sees('1', '2', '4')
  await two.sees('1', '2', '4')
  await silent.ask('unsubscribe', { threads: ['p1'] })
  await one.sees('1', '2')
  t.notOk(
    silent.frames.some(({ op }) => op === 'presence'),
    'who did not ask is told nothing',
  )
  t.equal(await metric(a, 'presence_members'), 1)
})

await t.test('a snapshot by socket and by call has infos and the connections of all nodes', async t => {
  const clients = [
    await Watcher.join(a, '1', 'p2', { info: { name: 'Ö' } }),
    await Watcher.join(b, '1', 'p2', { info: { name: 'Ö' } }),
    await Watcher.join(b, '2', 'p2'),
  ]
  const expected = [
    { user: '1', info: { name: 'Ö' }, connections: 2 },
    { user: '2', connections: 1 },
  ]
  const sorted = (members: { user: string }[]) => members.toSorted((x, y) => x.user.localeCompare(y.user))
  await until(async () => (await get('/v1/threads/p2/presence')).body.count === 2, { what: 'both users' })
  await until(
    async () =>
      JSON.stringify(sorted((await get('/v1/threads/p2/presence')).body.members)) === JSON.stringify(expected),
    { what: 'all connections' },
  )
  const answer = await clients[0]!.client.ask('presence', { thread: 'p2' })
  t.match(answer, { op: 'presence', thread: 'p2', count: 2 })
  t.same(sorted(answer['members']), expected)
  const late = await Client.connect(t, a, acme.user('3', { p2: READ }))
  const { presence } = await late.ask('subscribe', { threads: ['p2'], presence: true })
  t.same(sorted(presence.p2.members), [...expected, { user: '3', connections: 1 }])
  t.equal(presence.p2.count, 3)
  t.same(
    (await get('/v1/threads/p2/presence', globex.server())).body,
    { members: [], count: 0 },
    'another site sees nobody',
  )
})

await t.test('presence is shown to whom the token allows it, and only to those', async t => {
  const client = await Client.connect(t, a, acme.user('7', { q1: ['read'], q2: READ, q3: ['presence'] }))
  const answer = await client.ask('subscribe', { threads: ['q1', 'q2', 'q3'], presence: true })
  t.same(Object.keys(answer['presence']), ['q2'])
  t.same(Object.keys(answer['chains']), ['thread:q1', 'thread:q2'])
  t.match(await client.ask('presence', { thread: 'q1' }), { code: 'permission_missing' })
  t.match(await client.ask('presence', { thread: 'q3' }), { op: 'presence', members: [], count: 0 })
  t.match(await client.ask('presence', { thread: 'q9' }), { code: 'thread_not_allowed' })
  t.match(await client.ask('presence', {}), { code: 'bad_id' })
  t.match(await client.ask('subscribe', { threads: ['q2'], presence: 1 }), { code: 'bad_field' })
  const other = await Client.connect(t, b, acme.user('8', { q1: ['read'], q2: ['read'] }))
  await other.subscribe('q1', 'q2')
  await client.expect(
    ({ op, thread, joined }) =>
      op === 'presence' && thread === 'q2' && joined?.some(({ user }: { user: string }) => user === '8'),
    'the other',
  )
  t.notOk(client.frames.some(({ op, thread, id }) => op === 'presence' && thread === 'q1' && id === undefined))
  await call(a, server, '/v1/threads/q2/members', { add: { 7: ['read'] } })
  await client.expect(({ op }) => op === 'members', 'members')
  const frames = client.frames.length
  other.socket.close()
  await until(async () => (await get('/v1/threads/q2/presence')).body.count === 1, { what: 'the other to be gone' })
  await client.ask('unsubscribe', { threads: ['q1'] })
  t.notOk(
    client.frames.slice(frames).some(({ op }) => op === 'presence'),
    'no more without the permission',
  )
})

await t.test('watch tells who is online, and when that changes; a reload is no change', async t => {
  const client = await Client.connect(t, a, acme.user('w', {}, { watch: ['w1', 'w2'] }))
  const w1 = await Client.connect(t, b, acme.user('w1'))
  await until(async () => (await call(a, server, '/v1/presence/online', { users: ['w1'] })).body.online.w1 === true, {
    what: 'w1',
  })
  t.same(await client.ask('watch', { users: ['w1', 'w2', 'w3'] }), {
    op: 'online',
    id: 2,
    users: { w1: true, w2: false },
    refused: {
      w3: {
        code: 'permission_missing',
        message: 'the token names this thread without the permission that this needs (watch)',
      },
    },
  })
  const w2 = await Client.connect(t, a, acme.user('w2'))
  await client.expect(({ op, users }) => op === 'online' && users.w2 === true, 'w2 online')
  w1.socket.terminate()
  await w1.expectClose()
  const back = await Client.connect(t, a, acme.user('w1'))
  w2.socket.close()
  await until(
    () => client.frames.some(({ op, users, id }) => op === 'online' && users.w2 === false && id === undefined),
    { what: 'w2 offline' },
  )
  t.notOk(
    client.frames.some(({ op, users, id }) => op === 'online' && 'w1' in users && id === undefined),
    'w1 never blinked',
  )
  t.same(await client.ask('unwatch', { users: ['w1'] }), { op: 'online', id: 3, users: {} })
  back.socket.close()
  await until(async () => (await call(a, server, '/v1/presence/online', { users: ['w1'] })).body.online.w1 === false, {
    what: 'w1 to be offline',
  })
  t.notOk(client.frames.some(({ op, users, id }) => op === 'online' && 'w1' in users && id === undefined))
  for (const fields of [{}, { users: [] }, { users: 'w1' }])
    t.match(await client.ask('watch', fields), { code: 'bad_field' })
  t.match(await client.ask('watch', { users: ['a b'] }), { code: 'bad_id' })
  const all = await Client.connect(t, a, acme.user('x', {}, { watch: true }))
  t.match(await all.ask('watch', { users: ['anybody', 'w'] }), { users: { anybody: false, w: true } })
})

await t.test('report=online tells the origin whom to reach in another way', async t => {
  await Client.connect(t, b, acme.user('o1'))
  await until(
    async () => (await call(a, server, '/v1/presence/online', { users: ['o1', 'o2'] })).body.online.o1 === true,
    { what: 'o1' },
  )
  const event = { to: { users: ['o1', 'o2'] }, type: 'm', data: 1 }
  t.match((await call(a, server, '/v1/publish?report=online', event)).body, {
    stamps: Object,
    online: { o1: true, o2: false },
  })
  t.notOk('online' in (await call(a, server, '/v1/publish', event)).body)
  const refused = (path: string, body: object, token = server) => call(a, token, path, body)
  t.match(await refused('/v1/publish?report=online', { ...event, to: { thread: '1' } }), {
    status: 422,
    body: { code: 'bad_target' },
  })
  t.match(await refused('/v1/publish?report=x', event), { status: 422, body: { code: 'bad_field' } })
  t.match(await refused('/v1/publish?reports=online', event), { status: 422, body: { code: 'bad_field' } })
  t.match(await refused('/v1/publish?report=online', event, acme.server({ scope: 'publish' })), { status: 403 })
  t.match(await refused('/v1/presence/online', { users: ['1'] }, acme.server({ scope: 'publish' })), { status: 403 })
  t.match(await refused('/v1/presence/online', { users: [] }), { status: 422, body: { code: 'bad_field' } })
  t.match(await refused('/v1/presence/online', { users: ['1', 'a b'] }), {
    body: { code: 'bad_id', pointer: '/users/1' },
  })
  t.match(await get('/v1/threads/a%20b/presence'), { status: 422, body: { code: 'bad_id' } })
  t.match(await get('/v1/threads/1/presence', acme.server({ scope: 'manage' })), { status: 403 })
})

await t.test('the people of a node that dies are gone within 15 s, once; of one that is drained, at once', async t => {
  const [doomed, polite] = await Promise.all([start(), start()])
  const watcher = await Watcher.join(a, 'k1', 'k')
  const online = await Client.connect(t, b, acme.user('k1', {}, { watch: true }))
  for (const [node, sub] of [
    [doomed, 'k2'],
    [doomed, 'k3'],
    [polite, 'k4'],
    [polite, 'k5'],
  ] as const) {
    await Watcher.join(node, sub, 'k')
  }
  await Watcher.join(b, 'k3', 'k')
  await watcher.sees('k1', 'k2', 'k3', 'k4', 'k5')
  await online.ask('watch', { users: ['k2', 'k3', 'k4'] })
  await until(
    async () =>
      Object.values((await call(a, server, '/v1/presence/online', { users: ['k2', 'k3', 'k4'] })).body.online).every(
        Boolean,
      ),
    { what: 'all to be online' },
  )
  doomed.kill('SIGKILL')
  await watcher.sees('k1', 'k3', 'k4', 'k5')
  await until(
    () => online.frames.some(({ op, users, id }) => op === 'online' && users.k2 === false && id === undefined),
    { what: '2 offline' },
  )
  polite.kill('SIGTERM')
  polite.kill('SIGTERM')
  await polite.exit
  await watcher.sees('k1', 'k3')
  const left = watcher.frames.flatMap(frame => frame['left'] as string[])
  t.same(left.toSorted(), ['k2', 'k4', 'k5'], 'nobody leaves twice')
  t.notOk(online.frames.some(({ op, users, id }) => op === 'online' && users.k3 !== undefined && id === undefined))
})

await t.test('a Redis that comes back empty is filled again, and views end up true', async t => {
  const watcher = await Watcher.join(a, '1', 'z')
  const two = await Watcher.join(b, '2', 'z')
  await watcher.sees('1', '2')
  await redis.stop()
  await watcher.client.expect(({ op, bus }) => op === 'status' && bus === 'down', 'status down')
  two.client.socket.terminate()
  const three = await Client.connect(t, b, acme.user('3', { z: READ }))
  await three.ask('subscribe', { threads: ['z'], presence: true })
  t.equal((await get('/v1/threads/z/presence')).status, 503)
  await redis.restart()
  await watcher.sees('1', '3')
  await until(async () => (await get('/v1/threads/z/presence')).body.count === 2, { what: 'the truth' })
})
