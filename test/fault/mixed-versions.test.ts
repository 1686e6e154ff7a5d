/** A node of this version and one of the version before it, on one Redis, as during an upgrade (docs/versioning.md). */
import t from 'tap'
import { Client, type Frame } from '../support/client.ts'
import { buildOlder, lacksCommit } from '../support/older.ts'
import { startRedis } from '../support/redis.ts'
import { call, metric, type Relay, Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'

/** Until there is a release: a commit of before callbacks. At each release, that of the release before. */
const PREVIOUS = process.env['PREVIOUS'] ?? '525d3e2'

t.setTimeout(300_000)
const skip = lacksCommit(PREVIOUS)
if (skip) await t.test('two versions side by side', { skip }, () => {})
else await sideBySide()

async function sideBySide(): Promise<void> {
  const cli = buildOlder(t, PREVIOUS)
  const redis = await startRedis(t)
  const acme = new Site('acme')
  const environment = { THROUGHLINE_BUS: redis.url, THROUGHLINE_DRAIN_SECONDS: '2' }
  const [older, newer] = await Promise.all([
    startRelay(t, acme.entry(), environment, cli),
    startRelay(t, acme.entry(), environment),
  ])
  const server = acme.server()
  const nodes = [older, newer]
  const nameOf = (node: Relay): string => (node === older ? 'the older node' : 'the newer node')
  const publish = (node: Relay, thread: string, id: string, more: object = {}): ReturnType<typeof call> =>
    call(node, server, '/v1/publish', { to: { thread }, type: 'message', id, data: 1, ...more })
  const member = (node: Relay, sub: string): Promise<Client> =>
    Client.connect(t, node, acme.user(sub, { 42: ['read', 'send', 'presence'], 43: ['read'] }))
  const chained = (client: Client): Frame[] => client.events().filter(({ chain }) => chain === 'thread:42')

  const ada = await member(older, 'ada')
  const bob = await member(newer, 'bob')
  const heads = await Promise.all(
    [ada, bob].map(client => client.ask('subscribe', { threads: ['42'], presence: true })),
  )

  await t.test('what either publishes reaches the clients of both, in one whole chain', async t => {
    for (let n = 0; n < 20; n++) t.equal((await publish(nodes[n % 2]!, '42', `m${n}`)).status, 200)
    for (const [index, client] of [ada, bob].entries()) {
      await until(() => chained(client).length === 20, { what: 'twenty events' })
      let last = heads[index]!['chains']['thread:42'].head as number
      for (const { prev, stamp } of chained(client)) {
        t.equal(prev, last)
        last = stamp as number
      }
    }
    t.strictSame(
      chained(ada).map(({ id }) => id as string),
      chained(bob).map(({ id }) => id as string),
    )
  })

  await t.test('what was published by one is a repeat for the other', async t => {
    for (const [here, there] of [nodes, nodes.toReversed()] as [Relay, Relay][]) {
      const id = `once-${here.pid}`
      const first = await publish(here, '42', id)
      t.match(await publish(there, '42', id), { status: 200, body: { duplicate: true, stamps: first.body.stamps } })
    }
    const asked = { chains: ['thread:42', 'user:ada', 'site'] }
    const answers = await Promise.all(nodes.map(node => call(node, server, '/v1/heads', asked)))
    t.strictSame(answers[0]!.body, answers[1]!.body)
  })

  await t.test('clients of both see and hear each other', async t => {
    for (const [client, other] of [
      [ada, bob],
      [bob, ada],
    ] as const) {
      await client.ask('send', { thread: '42', type: 'typing', data: 'x' })
      await other.expect(({ type }) => type === 'typing', 'what the other sends')
      await until(async () => (await client.ask('presence', { thread: '42' }))['count'] === 2, { what: 'both present' })
    }
    for (const node of nodes) {
      const { body } = await call(node, server, '/v1/presence/online', { users: ['ada', 'bob', 'eve'] })
      t.strictSame(body, { online: { ada: true, bob: true, eve: false } }, nameOf(node))
    }
    for (const [here, there] of [nodes, nodes.toReversed()] as [Relay, Relay][]) {
      const reader = await member(there, `reader-${there.pid}`)
      await reader.subscribe('42')
      const id = `receipt-${here.pid}`
      await publish(here, '42', id, { receipt_to: here === older ? 'ada' : 'bob' })
      const { receipt } = await reader.expect(frame => frame['id'] === id, 'an event with a receipt')
      reader.send({ op: 'receipt', receipts: [receipt] })
      const sender = here === older ? ada : bob
      await sender.expect(({ type, data }) => type === 'delivered' && data.ids.includes(id), 'that it was delivered')
    }
  })

  await t.test('what an origin decides at one counts at the other', async t => {
    for (const [here, there] of [nodes, nodes.toReversed()] as [Relay, Relay][]) {
      const sub = `guest-${there.pid}`
      const token = acme.user(sub)
      const guest = await member(there, sub)
      await guest.subscribe('42', '43')
      await call(here, server, '/v1/threads/43/members', { remove: [sub] })
      await guest.expect(({ op, perms }) => op === 'members' && perms.length === 0, 'to be removed')
      await call(here, server, `/v1/users/${sub}/disconnect`, { revoke: true })
      t.match(await guest.expectClose(), { code: 4410 })
      for (const node of nodes) {
        const again = await Client.open(t, node)
        again.send({ op: 'connect', token })
        t.match(await again.expectClose(), { code: 4401, reason: 'token_revoked' }, nameOf(node))
      }
    }
  })

  await t.test('the older node is drained to the newer, and nothing is missed', async t => {
    older.kill('SIGTERM')
    await ada.expect(({ op }) => op === 'drain', 'to be asked to leave')
    const since = { 'thread:42': chained(ada).at(-1)!['stamp'] as number }
    ada.socket.close()
    t.equal(await older.exit, 0)
    const moved = await member(newer, 'ada')
    t.match((await moved.ask('subscribe', { threads: ['42'], since }))['chains'], { 'thread:42': { state: 'current' } })
    await publish(newer, '42', 'last')
    await until(() => chained(moved).length === 1, { what: 'the next event' })
    t.equal(chained(moved)[0]!['prev'], since['thread:42'])
    await until(async () => (await moved.ask('presence', { thread: '42' }))['count'] === 3, {
      what: 'ada, bob, a reader',
    })
    t.equal(await metric(newer, 'gaps_total{cause="era"}'), 0)
    t.equal(await metric(newer, 'gaps_total{cause="bus"}'), 0)
  })
}
