import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import t, { type Test } from 'tap'
import { CallbackKeys, type PublishedKeys } from '../../src/callbacks/keys.ts'
import { Keys } from '../../src/redis/keys.ts'
import { openRedis } from '../../src/redis/redis.ts'
import { openLog } from '../../src/observe/log.ts'
import { newPrefix } from '../contract/node.ts'
import { startRedis, type RedisServer } from '../support/redis.ts'
import { Site, serve, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'

const log = openLog('silent')
const DAY = 86_400_000
const made = (): KeyObject => generateKeyPairSync('ed25519').privateKey
const xOf = (key: KeyObject): string => createPublicKey(key).export({ format: 'jwk' }).x!
const xs = ({ keys }: PublishedKeys): string[] => keys.map(({ x }) => x)

/** A clock that is set by hand. */
class SetClock {
  time = 1_800_000_000_000
  now(): number {
    return this.time
  }
}

async function open(
  t: Test,
  redis: RedisServer,
  prefix: string,
  clock: SetClock,
  key?: KeyObject,
): Promise<CallbackKeys> {
  const link = openRedis({ kind: 'single', url: redis.url })
  t.teardown(() => link.close())
  await until(() => link.ready, { what: 'Redis' })
  return new CallbackKeys({ key, clock, log, shared: { link, keys: new Keys(prefix) } })
}

const redis = await startRedis(t)

await t.test('nodes that were given no key sign with the same one, also after Redis was emptied', async t => {
  const [prefix, clock] = [newPrefix(), new SetClock()]
  const one = await open(t, redis, prefix, clock)
  const two = await open(t, redis, prefix, clock)
  const key = xOf(await one.signing())
  t.equal(xOf(await two.signing()), key)
  t.strictSame(xs(await two.published()), [key])
  await redis.cli('FLUSHALL')
  clock.time += 60_000
  t.strictSame(xs(await two.published()), [key])
  const three = await open(t, redis, prefix, clock)
  t.equal(xOf(await three.signing()), key)
})

await t.test('a key that was replaced is published for 7 days after it last signed, on every node', async t => {
  const [prefix, clock, old, next] = [newPrefix(), new SetClock(), made(), made()]
  await (await open(t, redis, prefix, clock, old)).published()
  const node = await open(t, redis, prefix, clock, next)
  t.equal(xOf(await node.signing()), xOf(next))
  const asked = async (): Promise<string[]> => xs(await node.published())
  t.strictSame(await asked(), [xOf(next), xOf(old)])
  clock.time += 6 * DAY
  t.strictSame(await asked(), [xOf(next), xOf(old)])
  clock.time += 2 * DAY
  t.strictSame(await asked(), [xOf(next)])
})

await t.test('without Redis a configured key signs all the same, and a node without one says bus_down', async t => {
  const link = openRedis({ kind: 'single', url: 'redis://127.0.0.1:1' })
  t.teardown(() => link.close())
  const shared = { link, keys: new Keys('tl') }
  const key = made()
  const given = new CallbackKeys({ key, clock: new SetClock(), log, shared })
  t.equal(xOf(await given.signing()), xOf(key))
  t.strictSame(xs(await given.published()), [xOf(key)])
  const bare = new CallbackKeys({ key: undefined, clock: new SetClock(), log, shared })
  await t.rejects(bare.signing(), { code: 'bus_down', retryAfter: 2 })
})

await t.test('GET /v1/keys has the configured key in both forms, without a token', async t => {
  // RFC 8037, appendices A.2 and A.3: a key and its thumbprint.
  const x = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo'
  const jwk = { kty: 'OKP', crv: 'Ed25519', x, d: 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A' }
  const environment = { THROUGHLINE_CALLBACK_KEY: JSON.stringify(jwk) }
  const relay = await startRelay(t, new Site('acme').entry(), environment)
  const answer = await fetch(`${relay.api}/v1/keys`)
  t.equal(answer.status, 200)
  t.strictSame(await answer.json(), {
    keys: [
      { kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA', use: 'sig', kid: 'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k', x },
    ],
    whpk: ['whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo='],
  })
  t.notOk(relay.log.some(line => line.includes('THROUGHLINE_CALLBACK_KEY')))
})

await t.test('a key that the relay had to make is warned of once', async t => {
  const relay = await startRelay(t, new Site('acme').entry())
  const get = async (): Promise<any> => (await fetch(`${relay.api}/v1/keys`)).json()
  t.strictSame(await get(), await get())
  await until(() => relay.log.some(line => line.includes('THROUGHLINE_CALLBACK_KEY is not set')), { what: 'a warning' })
  t.equal(relay.log.filter(line => line.includes('THROUGHLINE_CALLBACK_KEY')).length, 1)
})

const WRONG: Record<string, [value: string, says: RegExp]> = {
  'a public key': [JSON.stringify({ kty: 'OKP', crv: 'Ed25519', x: 'A'.repeat(43) }), /found a public one/],
  'another kind': [JSON.stringify({ kty: 'oct', k: 'c2VjcmV0' }), /Ed25519 JWK.*found another kind/],
  'bytes that are none': [JSON.stringify({ kty: 'OKP', crv: 'Ed25519', x: 'AA', d: 'c2VjcmV0' }), /bytes are none/],
  'no file': ['/nowhere/key.json', /readable file or inline JSON/],
}

await t.test('a wrong THROUGHLINE_CALLBACK_KEY stops the start, and no secret is told', async t => {
  for (const [name, [value, says]] of Object.entries(WRONG)) {
    const { exit, stderr } = await serve({ THROUGHLINE_SITES: '/dev/null', THROUGHLINE_CALLBACK_KEY: value })
    t.equal(exit, 78, name)
    t.match(stderr, says, name)
    t.notMatch(stderr, /c2VjcmV0/, name)
  }
})
