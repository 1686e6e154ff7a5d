/** Delivery receipts without storage (CONTRACT 22). */
import t from 'tap'
import { Client, type Frame } from '../support/client.ts'
import { startRedis } from '../support/redis.ts'
import { call, metric, type Relay, Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'

t.setTimeout(300_000)

const redis = await startRedis(t)
const acme = new Site('acme')
const globex = new Site('globex')
const start = (environment: Record<string, string>): Promise<Relay> =>
  startRelay(t, { ...acme.entry(), ...globex.entry() }, environment)
const [a, b, alone] = await Promise.all([
  start({ THROUGHLINE_BUS: redis.url }),
  start({ THROUGHLINE_BUS: redis.url }),
  start({}),
])
const server = acme.server()

const publish = async (node: Relay, thread: string, id: string, more: object = {}) =>
  call(node, server, '/v1/publish', { to: { thread }, type: 'message', id, data: 1, receipt_to: 's', ...more })

async function member(node: Relay, sub: string, thread: string): Promise<Client> {
  const client = await Client.connect(t, node, acme.user(sub, { [thread]: ['read'] }))
  await client.subscribe(thread)
  return client
}

const delivered = (client: Client): Frame[] => client.events().filter(({ type }) => type === 'delivered')
const receiptOf = async (client: Client, id: string): Promise<string> =>
  (await client.expect(frame => frame['id'] === id, `event ${id}`))['receipt'] as string

for (const [name, here, there] of [
  ['two nodes', a, b],
  ['one process', alone, alone],
] as const) {
  const thread = name.replace(' ', '-')
  await t.test(
    `${name}: the sender's connections are told what a reader has confirmed, gathered, and each once`,
    async t => {
      const senders = [await member(here, 's', thread), await member(there, 's', thread)]
      const reader = await member(there, 'r', thread)
      const tab = await member(here, 'r', thread)
      for (let n = 0; n < 5; n++) t.equal((await publish(here, thread, `${thread}-${n}`)).status, 200)
      const receipts = await Promise.all([0, 1, 2, 3, 4].map(n => receiptOf(reader, `${thread}-${n}`)))
      t.equal(await receiptOf(tab, `${thread}-0`), receipts[0], 'the same bytes for all recipients')
      t.equal(new Set(receipts).size, 5)
      t.notMatch(Buffer.from(receipts[0]!, 'base64url').toString('latin1'), thread, 'sealed')
      reader.send({ op: 'receipt', receipts })
      tab.send({ op: 'receipt', receipts: receipts.slice(0, 3) })
      reader.send({ op: 'receipt', receipts: [receipts[0], receipts[0]] })
      for (const sender of senders) {
        await until(() => delivered(sender).flatMap(event => event['data'].ids as string[]).length === 5, {
          what: 'all five',
        })
        t.same(
          delivered(sender)
            .flatMap(event => event['data'].ids as string[])
            .toSorted(),
          [0, 1, 2, 3, 4].map(n => `${thread}-${n}`),
        )
        t.ok(delivered(sender).length <= 2, 'gathered')
        const [event] = delivered(sender)
        t.match(event, { op: 'event', type: 'delivered', thread, data: { user: 'r' }, id: String, at: Number })
        for (const field of ['chain', 'stamp', 'prev', 'sender']) t.notOk(field in event!)
      }
      await reader.ask('unsubscribe', { threads: [thread] })
      t.same([reader, tab].flatMap(delivered), [], 'nobody else is told')
      t.notOk(reader.frames.some(({ op }) => op === 'error'))
    },
  )
}

await t.test('a receipt counts once per reader, also much later and through another node', async t => {
  const sender = await member(a, 's', 'once')
  const [one, two] = [await member(a, 'r1', 'once'), await member(b, 'r2', 'once')]
  await publish(a, 'once', 'o1')
  const receipt = await receiptOf(one, 'o1')
  one.send({ op: 'receipt', receipts: [receipt] })
  await until(() => delivered(sender).length === 1, { what: 'the first' })
  const again = await member(b, 'r1', 'once')
  again.send({ op: 'receipt', receipts: [receipt] })
  two.send({ op: 'receipt', receipts: [await receiptOf(two, 'o1')] })
  await until(() => delivered(sender).length === 2, { what: 'the second reader' })
  t.same(
    delivered(sender).map(event => event['data'].user),
    ['r1', 'r2'],
  )
})

await t.test('one that is forged, foreign or the own is no receipt', async t => {
  const sender = await member(a, 's', 'bad')
  const reader = await member(b, 'r', 'bad')
  await publish(a, 'bad', 'b1')
  const receipt = await receiptOf(reader, 'b1')
  const forged = [
    'x',
    '',
    receipt.slice(0, -2),
    `${receipt.slice(0, 20)}${receipt[20] === 'A' ? 'B' : 'A'}${receipt.slice(21)}`,
    Buffer.alloc(60).toString('base64url'),
  ]
  reader.send({ op: 'receipt', receipts: forged })
  const stranger = await Client.connect(t, b, globex.user('r', { bad: ['read'] }))
  stranger.send({ op: 'receipt', receipts: [receipt] })
  sender.send({ op: 'receipt', receipts: [await receiptOf(sender, 'b1')] })
  await until(async () => (await metric(b, 'receipts_refused_total{code="forged"}')) === forged.length, {
    what: 'the forged',
  })
  await until(async () => (await metric(b, 'receipts_refused_total{code="foreign"}')) === 1, { what: 'the foreign' })
  reader.send({ op: 'receipt', receipts: [receipt] })
  await until(() => delivered(sender).length === 1, { what: 'the true one' })
  t.same(delivered(sender)[0]!['data'], { ids: ['b1'], user: 'r' })
  for (const receipts of [undefined, [], 'x', [1], ['x'.repeat(2049)], Array(101).fill('x')]) {
    t.match(await reader.ask('receipt', { receipts }), { op: 'error', code: 'bad_field' })
  }
})

await t.test(
  'receipt_to is checked, works for users and ephemeral events, and the left-out connection gets none',
  async t => {
    t.match(await publish(a, 'c', 'c0', { receipt_to: 'a b' }), {
      status: 422,
      body: { code: 'bad_id', pointer: '/receipt_to' },
    })
    const sender = await Client.connect(t, a, acme.user('s'))
    const reader = await member(b, 'u1', 'c')
    const except = reader.frames[0]!['connection']
    await publish(a, 'c', 'c1', { except })
    t.notOk('receipt' in (await reader.expect(({ id }) => id === 'c1', 'the place')))
    await publish(a, 'c', 'c2', { to: { users: ['u1'] } })
    await publish(a, 'c', 'c3', { to: { users: ['u1'] }, ephemeral: true })
    reader.send({ op: 'receipt', receipts: [await receiptOf(reader, 'c2'), await receiptOf(reader, 'c3')] })
    const event = await sender.expect(({ type }) => type === 'delivered', 'delivered')
    t.same(event['data'].ids.toSorted(), ['c2', 'c3'])
    t.notOk('thread' in event)
    await publish(a, 'c', 'c4', { receipt_to: undefined })
    t.notOk('receipt' in (await reader.expect(({ id }) => id === 'c4', 'the event')))
  },
)

await t.test('what stands in Redis has an end and tells nothing of the events', async t => {
  const entries = await redis.entries()
  const told = entries.filter(({ key }) => key.includes(':d:'))
  t.ok(told.length > 0)
  for (const { ttl, value } of entries.filter(({ key }) => /:(d|seal)/.test(key))) {
    t.ok(ttl > 0)
    t.notMatch(value.toString('latin1'), /o1|b1|two-nodes/)
  }
})
