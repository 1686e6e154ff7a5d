/** The steps of docs/security.md, "Changing keys": nobody is cut off, and in the end the old key is good for nothing. */
import { createPublicKey, generateKeyPairSync, randomBytes, verify } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import t, { type Test } from 'tap'
import { CallbackOrigin, type Told } from '../support/callback-origin.ts'
import { Client } from '../support/client.ts'
import { startRedis } from '../support/redis.ts'
import { call, type Relay, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'
import { eddsa, hs256, licence, replaceFile, type Signer, token } from '../trust/signing.ts'

t.setTimeout(300_000)

const now = Math.floor(Date.now() / 1000)
const lifetime = { iat: now, exp: now + 600 }
const ORIGINS = ['https://example.com']

const user = (key: Signer, iss = 'acme', sub = '7'): string =>
  token(key, { iss, aud: 'throughline', sub, threads: { 42: ['read', 'send'] }, ...lifetime })
const server = (key: Signer, iss = 'acme'): string => token(key, { iss, aud: 'throughline:api', ...lifetime })

/** Publishes to thread 42 until the node is as far as the caller: it looks at its files once a second. */
async function publish(relay: Relay, key: Signer, papers: Record<string, string> = {}, iss = 'acme'): Promise<void> {
  const event = { to: { thread: '42' }, type: 'message', data: 1 }
  const answer = (): ReturnType<typeof call> => call(relay, server(key, iss), '/v1/publish', event, papers)
  await until(async () => (await answer()).status === 200, {
    what: 'a publish that is taken',
  })
}

async function refusedCode(t: Test, relay: Relay, connect: object): Promise<string> {
  const client = await Client.open(t, relay)
  client.send({ op: 'connect', ...connect })
  return (await client.expectClose()).reason
}

await t.test('operator keys are changed node by node: old licences work until the last step', async t => {
  const [old, next, key] = [eddsa('2026'), eddsa('2027'), eddsa()]
  const redis = await startRedis(t)
  const node = (...operators: Signer[]): Promise<Relay> => {
    const jwks = JSON.stringify({ keys: operators.map(({ jwk }) => jwk) })
    return startRelay(t, {}, { THROUGHLINE_BUS: redis.url, THROUGHLINE_OPERATOR_JWKS: jwks })
  }
  const papers = (operator: Signer, jti: string, iat: number): string =>
    licence(operator, { sub: 'guest', jti, site: { keys: [key.jwk], origins: ORIGINS }, iat, exp: now + 600 })
  const [first, second] = [papers(old, 'l1', now - 60), papers(next, 'l2', now - 30)]
  const mine = user(key, 'guest')

  const before = await node(old)
  const client = await Client.connect(t, before, mine, { licence: first })
  await client.subscribe('42')
  const between = await node(old, next)
  for (const licence of [first, second]) await publish(between, key, { 'throughline-licence': licence }, 'guest')
  await until(() => client.events().length === 2, { what: 'events of both licences, on a node that knows the old key' })
  t.equal(await refusedCode(t, before, { token: mine, licence: second }), 'licence_signature', 'not yet everywhere')

  before.kill('SIGTERM')
  await client.expect(({ op }) => op === 'drain', 'to be asked to leave')
  client.socket.close()
  t.equal(await before.exit, 0)
  const moved = await Client.connect(t, between, mine, { licence: first })
  await moved.subscribe('42')

  const after = await node(next)
  await publish(after, key, { 'throughline-licence': second }, 'guest')
  await until(() => moved.events().length === 1, {
    what: 'an event under the new licence, on a socket under the old one',
  })
  t.match(await (await Client.connect(t, after, mine, { licence: second })).subscribe('42'), { op: 'subscribed' })
  t.equal(await refusedCode(t, after, { token: mine, licence: first }), 'licence_signature')
})

await t.test('site keys are changed in the site file: open sockets stay, and end only if they wish', async t => {
  const [old, next] = [hs256('old'), eddsa('next')]
  const entry = (...keys: Signer[]): object => ({ acme: { keys: keys.map(({ jwk }) => jwk), origins: ORIGINS } })
  const relay = await startRelay(t, entry(old))
  const client = await Client.connect(t, relay, user(old))
  await client.subscribe('42')

  replaceFile(relay.sitesFile, JSON.stringify(entry(old, next)))
  await publish(relay, next)
  await publish(relay, old)
  const newcomer = await Client.connect(t, relay, user(next, 'acme', '8'))
  await newcomer.subscribe('42')

  replaceFile(relay.sitesFile, JSON.stringify(entry(next)))
  await until(
    async () => (await call(relay, server(old), '/v1/heads', { chains: ['thread:42'] })).body.code === 'token_key',
    { what: 'the old key to be gone' },
  )
  t.equal(await refusedCode(t, relay, { token: user(old) }), 'token_key')
  await publish(relay, next)
  await until(() => client.events().length === 3 && newcomer.events().length === 1, { what: 'events on both sockets' })
  t.match(await client.ask('refresh', { token: user(next) }), { op: 'refreshed' })
  t.equal(client.closed, undefined)
})

await t.test('the secret of callbacks is changed while the origin knows the old one, then the new one', async t => {
  const secret = (): string => `whsec_${randomBytes(24).toString('base64')}`
  const [old, next] = [secret(), secret()]
  const key = hs256()
  const origin = await CallbackOrigin.start(t)
  const entry = (...secrets: string[]): object => {
    const callback = { url: origin.url, events: ['call.*'], secret: secrets }
    return { acme: { keys: [key.jwk], origins: ORIGINS, callback } }
  }
  const relay = await startRelay(t, entry(old), { THROUGHLINE_CALLBACK_ALLOW: '127.0.0.0/8' })
  const client = await Client.connect(t, relay, user(key))
  const accepted = ({ body, headers }: Told, secret: string): boolean => {
    try {
      return Boolean(new Webhook(secret).verify(body, headers as Record<string, string>))
    } catch {
      return false
    }
  }
  const told = async (signatures: number): Promise<Told> =>
    until(
      async () => {
        const count = origin.told.length
        await client.ask('send', { thread: '42', type: 'call.ring' })
        await until(() => origin.told.length > count, { what: 'a callback' })
        const last = origin.told.at(-1)!
        return String(last.headers['webhook-signature']).split(' ').length === signatures ? last : undefined
      },
      { what: `a callback with ${signatures} signatures` },
    )
  const check = (call: Told): boolean[] => [accepted(call, old), accepted(call, next)]

  t.same(check(await told(2)), [true, false])
  replaceFile(relay.sitesFile, JSON.stringify(entry(old, next)))
  t.same(check(await told(3)), [true, true], 'an origin may change at any moment')
  replaceFile(relay.sitesFile, JSON.stringify(entry(next)))
  t.same(check(await told(2)), [false, true])
})

await t.test("the relay's own key is changed node by node: both are published while both may sign", async t => {
  const redis = await startRedis(t)
  const origin = await CallbackOrigin.start(t)
  const key = hs256()
  const sites = { acme: { keys: [key.jwk], origins: ORIGINS, callback: { url: origin.url, events: ['call.*'] } } }
  const pair = (): { x: string; private: string } => {
    const jwk = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })
    return { x: jwk.x!, private: JSON.stringify(jwk) }
  }
  const [old, next] = [pair(), pair()]
  const node = (callbackKey: string): Promise<Relay> =>
    startRelay(t, sites, {
      THROUGHLINE_BUS: redis.url,
      THROUGHLINE_CALLBACK_ALLOW: '127.0.0.0/8',
      THROUGHLINE_CALLBACK_KEY: callbackKey,
    })
  const published = async ({ api }: Relay): Promise<string[]> => {
    const { keys } = (await (await fetch(`${api}/v1/keys`)).json()) as { keys: { x: string }[] }
    return keys.map(({ x }) => x)
  }
  const called = async (relay: Relay, x: string): Promise<boolean> => {
    const count = origin.told.length
    const client = await Client.connect(t, relay, user(key))
    await client.ask('send', { thread: '42', type: 'call.ring' })
    await until(() => origin.told.length > count, { what: 'a callback' })
    client.socket.close()
    return isSigned(origin.told.at(-1)!, x)
  }

  const before = await node(old.private)
  t.same(await published(before), [old.x])
  t.ok(await called(before, old.x))
  const after = await node(next.private)
  t.same(await published(after), [next.x, old.x], 'before the new one signs anything')
  before.kill('SIGTERM')
  t.equal(await before.exit, 0)
  t.ok(await called(after, next.x), 'an origin that asks again when nothing verifies, finds it')
  t.same(await published(after), [next.x, old.x], 'what the old one signed and what waits to be read still verifies')
})

/** Standard Webhooks, "Signature scheme": Ed25519 over ID.TIMESTAMP.BODY. */
function isSigned({ headers, body }: Told, x: string): boolean {
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' })
  const content = Buffer.from(`${String(headers['webhook-id'])}.${String(headers['webhook-timestamp'])}.${body}`)
  const signatures = String(headers['webhook-signature']).split(' ')
  return signatures.some(
    one => one.startsWith('v1a,') && verify(null, content, key, Buffer.from(one.slice(4), 'base64')),
  )
}
