/** What an origin decides about chains and users reaches every node at once (DESIGN §6, CONTRACT 12, 16, 19). */
import t from 'tap'
import { Client } from '../support/client.ts'
import { startRedis } from '../support/redis.ts'
import { call, metric, type Relay, Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'

t.setTimeout(300_000)

const redis = await startRedis(t)
const acme = new Site('acme')
const globex = new Site('globex')
const sites = { ...acme.entry(), ...globex.entry() }
const start = (): Promise<Relay> => startRelay(t, sites, { THROUGHLINE_BUS: redis.url })
const [a, b] = await Promise.all([start(), start()])
const server = acme.server()
const seconds = (): number => Math.floor(Date.now() / 1000)

const publish = async (thread: string, data: unknown = 1): Promise<number> =>
  (await call(a, server, '/v1/publish', { to: { thread }, type: 'm', data })).body.stamps[`thread:${thread}`]
const grant = (sub: string, threads: Record<string, string[]>, more: object = {}): string =>
  acme.user(sub, threads, { aud: 'throughline:grant', ...more })
/** A client of user `sub` on each node. */
const both = (sub: string, threads: Record<string, string[]>): Promise<Client[]> =>
  Promise.all([a, b].map(node => Client.connect(t, node, acme.user(sub, threads))))

await t.test('heads are the stamps of the last events, and serve as since', async t => {
  const head = await publish('h1')
  const asked = await call(b, server, '/v1/heads', { chains: ['thread:h1', 'thread:h2', 'user:7', 'site'] })
  t.equal(asked.status, 200)
  t.same(Object.keys(asked.body.heads), ['thread:h1', 'thread:h2', 'user:7', 'site'])
  t.equal(asked.body.heads['thread:h1'], head)
  const client = await Client.connect(t, a, acme.user('7', { h1: ['read'], h2: ['read'] }))
  const answer = await client.ask('subscribe', { threads: ['h1', 'h2'], since: asked.body.heads })
  t.match(answer['chains'], { 'thread:h1': { state: 'current' }, 'thread:h2': { state: 'current' } })
})

await t.test('gaps: every client of the chains is told on every node, also one that was away', async t => {
  const clients = await both('g7', { g1: ['read'], g2: ['read'] })
  const since: Record<string, number> = {}
  for (const client of clients) {
    const { chains } = await client.subscribe('g1', 'g2')
    since['thread:g1'] = chains['thread:g1'].head
  }
  t.same((await call(a, server, '/v1/gaps', { chains: ['thread:g1', 'user:g7'] })).body, {})
  for (const client of clients) {
    const gap = await client.expect(({ op, chains }) => op === 'gap' && 'thread:g1' in chains, 'gap of the thread')
    t.ok(gap['chains']['thread:g1'] > since['thread:g1']!)
    t.ok(gap['within'] >= 1000)
    await client.expect(({ op, chains }) => op === 'gap' && 'user' in chains, 'gap of the own chain')
    await client.ask('unsubscribe', { threads: ['g2'] })
    t.notOk(
      client.frames.some(({ op, chains }) => op === 'gap' && 'thread:g2' in chains),
      'and nothing else',
    )
  }
  const away = await Client.connect(t, b, acme.user('g8', { g1: ['read'] }))
  const back = await away.ask('subscribe', { threads: ['g1'], since })
  t.match(back['chains']['thread:g1'], { state: 'behind', within: Number })
  t.ok((await metric(a, 'gaps_total{cause="origin"}')) >= 2)
})

await t.test('heads and gaps refuse what is no chain, and say where', async t => {
  for (const path of ['/v1/heads', '/v1/gaps']) {
    const refused = (body: unknown) => call(a, server, path, body)
    t.match(await refused({ chains: ['site', 'threads:1'] }), {
      status: 422,
      body: { code: 'bad_chain', pointer: '/chains/1' },
    })
    for (const name of ['thread:', 'thread:..', 'user:__proto__', 'user', '', 7, null, ['site'], 'acme/site']) {
      t.match(await refused({ chains: [name] }), { status: 422, body: { code: 'bad_chain' } }, JSON.stringify(name))
    }
    for (const body of [{}, { chains: [] }, { chains: 'site' }, { chains: Array(1001).fill('site') }]) {
      t.match(await refused(body), { status: 422, body: { code: 'bad_field', pointer: '/chains' } })
    }
    t.match(await refused({ chains: ['site'], chain: 1 }), {
      status: 422,
      body: { code: 'bad_field', pointer: '/chain' },
    })
    t.match(await call(a, acme.server({ scope: 'manage presence' }), path, { chains: ['site'] }), {
      status: 403,
      body: { code: 'scope_missing' },
    })
  }
})

await t.test('disconnect ends all connections of the user, on every node, and nobody else', async t => {
  const clients = await both('d1', {})
  const others = [...(await both('d2', {})), await Client.connect(t, a, globex.user('d1'))]
  t.same((await call(a, server, '/v1/users/d1/disconnect', { reason: 'banned: see the rules' })).body, {})
  for (const client of clients) t.same(await client.expectClose(), { code: 4410, reason: 'banned: see the rules' })
  await Client.connect(t, b, acme.user('d1'))
  t.notOk(
    others.some(({ closed }) => closed),
    'the tokens still count, and others stay',
  )
})

await t.test('disconnect needs no body, and refuses a wrong one', async t => {
  const [client] = await both('d3', {})
  const bare = await fetch(`${a.api}/v1/users/d3/disconnect`, {
    method: 'POST',
    headers: { authorization: `Bearer ${server}` },
  })
  t.equal(bare.status, 200)
  t.same(await client!.expectClose(), { code: 4410, reason: 'disconnected' })
  const refused = (body: unknown, user = 'd3') => call(a, server, `/v1/users/${user}/disconnect`, body)
  t.match(await refused({ reason: 'é'.repeat(62) }), { status: 422, body: { code: 'bad_field', pointer: '/reason' } })
  t.match(await refused({ revoke: 1 }), { status: 422, body: { code: 'bad_field', pointer: '/revoke' } })
  t.match(await refused({ revoked: true }), { status: 422, body: { code: 'bad_field', pointer: '/revoked' } })
  t.match(await refused('{'), { status: 400, body: { code: 'bad_json' } })
  t.match(await refused({}, 'no%20id'), { status: 422, body: { code: 'bad_id' } })
  t.match(await call(a, acme.server({ scope: 'publish' }), '/v1/users/d3/disconnect', {}), { status: 403 })
})

await t.test('revoke: tokens that the user had count no longer on any node, a newer one does', async t => {
  const old = acme.user('r1')
  const clients = [await Client.connect(t, a, old), await Client.connect(t, b, old)]
  await call(a, server, '/v1/users/r1/disconnect', { revoke: true })
  for (const client of clients) t.equal((await client.expectClose()).code, 4410)
  for (const node of [a, b]) {
    const client = await Client.open(t, node)
    t.match(await client.ask('connect', { token: old }), { op: 'error', code: 'token_revoked' })
    t.same(await client.expectClose(), { code: 4401, reason: 'token_revoked' })
    await Client.connect(t, node, acme.user('r1', {}, { iat: seconds() + 2 }))
  }
  await Client.connect(t, a, globex.user('r1'))
})

await t.test('what was revoked while a node could not hear is applied when it can', async t => {
  await call(a, server, '/v1/users/r2/disconnect', { revoke: true })
  const iat = seconds() + 5
  const client = await Client.connect(t, b, acme.user('r2', { z: ['read'] }, { iat }))
  await client.subscribe('z')
  const [key] = (await redis.cli('KEYS', '*:r:acme/user:r2')).split('\n')
  await redis.cli('HSET', key!, 'z', iat)
  await redis.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
  t.match(await client.expect(({ op }) => op === 'members', 'members'), { thread: 'z', perms: [] })
  t.match(await client.subscribe('z'), { refused: { z: { code: 'thread_revoked' } } })
  await redis.cli('HSET', key!, '*', iat)
  await redis.cli('CLIENT', 'KILL', 'TYPE', 'pubsub')
  t.equal((await client.expectClose()).code, 4410)
  const left = Number(await redis.cli('TTL', key!))
  t.ok(left > 86_400 && left <= 86_520, 'and it is not remembered for ever')
})

await t.test('remove takes a user out of a thread at once, and refuses the tokens and grants from before', async t => {
  await until(() => fetch(`${a.admin}/readyz`).then(async r => ((await r.json()) as { bus: string }).bus === 'up'), {
    what: 'the bus',
  })
  const token = acme.user('m1', { m: ['read'], n: ['read'] })
  const old = grant('m1', { m: ['read'] })
  const clients = [await Client.connect(t, a, token), await Client.connect(t, b, token)]
  const other = await Client.connect(t, b, acme.user('m2', { m: ['read'] }))
  for (const client of [...clients, other]) await client.subscribe('m')
  t.same((await call(a, server, '/v1/threads/m/members', { remove: ['m1'] })).body, {})
  for (const client of clients) {
    t.match(await client.expect(({ op }) => op === 'members', 'members'), { op: 'members', thread: 'm', perms: [] })
  }
  await publish('m')
  await until(() => other.events().length === 1, { what: 'the event' })
  for (const client of clients) {
    t.match(await client.subscribe('m', 'n'), {
      chains: { 'thread:n': {} },
      refused: { m: { code: 'thread_revoked' } },
    })
    t.same(client.events(), [])
  }
  const late = await Client.connect(t, b, token)
  t.match(await late.ask('subscribe', { threads: ['m'], grant: old }), { refused: { m: { code: 'thread_revoked' } } })
  const newer = grant('m1', { m: ['read'] }, { iat: seconds() + 2 })
  t.match(await late.ask('subscribe', { threads: ['m'], grant: newer }), { chains: { 'thread:m': {} } })
  const fresh = await Client.connect(t, a, acme.user('m1', { m: ['read'] }, { iat: seconds() + 2 }))
  t.match(await fresh.subscribe('m'), { chains: { 'thread:m': {} } })
})

await t.test('add permits, subscribes nobody, and lifts a removal', async t => {
  const clients = await both('m3', {})
  await call(b, server, '/v1/threads/p/members', { add: { m3: ['presence', 'read', 'fly'] } })
  for (const client of clients) {
    t.match(await client.expect(({ op }) => op === 'members', 'members'), { thread: 'p', perms: ['read', 'presence'] })
  }
  await publish('p')
  for (const client of clients) {
    t.match(await client.subscribe('p'), { chains: { 'thread:p': {} } })
    t.same(client.events(), [])
  }
  await call(b, server, '/v1/threads/p/members', { remove: ['m3'] })
  await call(b, server, '/v1/threads/p/members', { add: { m3: ['read'] } })
  for (const client of clients) {
    await until(() => client.frames.filter(({ op }) => op === 'members').length === 3, { what: 'both changes' })
    t.match(await client.subscribe('p'), { chains: { 'thread:p': {} } })
  }
  const old = await Client.connect(t, a, acme.user('m3', { p: ['read'] }, { iat: seconds() - 60 }))
  t.match(await old.subscribe('p'), { chains: { 'thread:p': {} } }, 'also for tokens from before the removal')
  await call(b, server, '/v1/threads/p/members', { add: { m3: ['send'] } })
  await old.expect(({ op, perms }) => op === 'members' && perms.length === 1, 'members')
  t.match(
    await old.subscribe('p'),
    { refused: { p: { code: 'permission_missing' } } },
    'what is given replaces what was',
  )
})

await t.test('members refuses what it cannot do, and does nothing then', async t => {
  const refused = (body: unknown, thread = 'q') => call(a, server, `/v1/threads/${thread}/members`, body)
  const cases: [body: object, code: string, pointer?: string][] = [
    [{}, 'bad_field'],
    [{ add: {}, remove: [] }, 'bad_field'],
    [{ add: [] }, 'bad_field'],
    [{ add: ['7'] }, 'bad_field', '/add'],
    [{ add: { 7: 'read' } }, 'bad_field', '/add/7'],
    [{ add: { 7: [] } }, 'bad_field', '/add/7'],
    [{ add: { 'a/b': ['read'] } }, 'bad_id', '/add/a~1b'],
    [{ remove: { 7: 1 } }, 'bad_field', '/remove'],
    [{ remove: ['8', { a: 1 }] }, 'bad_id', '/remove/1'],
    [{ add: { 7: ['read'] }, remove: [7] }, 'bad_field', '/remove/0'],
    [{ removed: ['7'] }, 'bad_field', '/removed'],
    [{ remove: Array.from({ length: 1001 }, (_, i) => i) }, 'bad_field'],
  ]
  for (const [body, code, pointer] of cases) {
    t.match(
      await refused(body),
      { status: 422, body: { code, ...(pointer === undefined ? {} : { pointer }) } },
      JSON.stringify(body).slice(0, 60),
    )
  }
  t.match(await refused({ remove: ['7'] }, '..%2F..'), { status: 422, body: { code: 'bad_id' } })
  t.equal((await refused({ remove: Array.from({ length: 1000 }, (_, i) => i) })).status, 200)
})

await t.test('refresh: the connection goes on with the new token, and leaves what it no longer names', async t => {
  const client = await Client.connect(t, a, acme.user('f1', { x: ['read'], y: ['read'] }, { exp: seconds() + 60 }))
  await client.subscribe('x', 'y')
  const exp = seconds() + 1200
  t.same(await client.ask('refresh', { token: acme.user('f1', { x: ['read'], z: ['read'] }, { exp }) }), {
    op: 'refreshed',
    id: 3,
    expires: exp,
  })
  t.match(await client.expect(({ op }) => op === 'members', 'members'), { thread: 'y', perms: [] })
  await publish('y')
  await publish('x', 'for x')
  await until(() => client.events().length === 1, { what: 'the event' })
  t.equal(client.events()[0]!['data'], 'for x')
  t.match(await client.subscribe('y', 'z'), {
    chains: { 'thread:z': {} },
    refused: { y: { code: 'thread_not_allowed' } },
  })
})

await t.test('a refresh that fails is told, and ends the connection', async t => {
  const cases: [token: unknown, code: string][] = [
    [acme.user('f3'), 'token_user'],
    [globex.user('f2'), 'token_user'],
    [acme.user('f2', {}, { exp: seconds() - 60 }), 'token_expired'],
    [grant('f2', {}), 'token_audience'],
    [`${acme.user('f2')}x`, 'token_signature'],
    [undefined, 'token_missing'],
    [7, 'token_malformed'],
  ]
  for (const [token, code] of cases) {
    const client = await Client.connect(t, b, acme.user('f2'))
    t.match(await client.ask('refresh', { token }), { op: 'error', code }, code)
    t.same(await client.expectClose(), { code: 4401, reason: code })
  }
  await call(a, server, '/v1/users/f4/disconnect', { revoke: true })
  const client = await Client.connect(t, b, acme.user('f4', {}, { iat: seconds() + 2 }))
  t.match(await client.ask('refresh', { token: acme.user('f4', {}, { iat: seconds() - 1 }) }), {
    code: 'token_revoked',
  })
})

await t.test('a grant adds threads until it expires; a wrong one is the reason for what is refused', async t => {
  const client = await Client.connect(t, a, acme.user('n1', { own: ['read'] }))
  // Refused 30 s after it has expired, and so is what it has allowed.
  const short = grant('n1', { t1: ['read'] }, { exp: seconds() - 27 })
  t.match(await client.ask('subscribe', { threads: ['t1'], grant: short }), { chains: { 'thread:t1': {} } })
  t.match(await client.ask('subscribe', { threads: ['t2'], grant: grant('n1', { t2: ['read'], t3: ['read'] }) }), {
    chains: { 'thread:t2': {} },
  })
  t.match(await client.subscribe('t3'), { chains: { 'thread:t3': {} } }, 'all that it names, also later')
  for (const [wrong, code] of [
    [grant('n2', { t4: ['read'] }), 'token_user'],
    [acme.user('n1', { t4: ['read'] }), 'token_audience'],
    [grant('n1', { t4: ['read'] }, { exp: seconds() - 60 }), 'token_expired'],
    ['x', 'token_malformed'],
    [1, 'token_malformed'],
  ] as const) {
    const answer = await client.ask('subscribe', { threads: ['own', 't4'], grant: wrong })
    t.match(answer, { chains: { 'thread:own': {} }, refused: { t4: { code } } }, code)
  }
  t.match(await client.expect(({ op }) => op === 'members', 'the end of the first grant'), { thread: 't1', perms: [] })
  t.match(await client.subscribe('t1', 't2'), {
    chains: { 'thread:t2': {} },
    refused: { t1: { code: 'thread_not_allowed' } },
  })
  t.match(await client.ask('refresh', { token: acme.user('n1') }), { op: 'refreshed' })
  await client.expect(({ op, thread }) => op === 'members' && thread === 'own', 'members')
  t.match(await client.subscribe('t2'), { chains: { 'thread:t2': {} } }, 'a grant outlives a refresh')
})
