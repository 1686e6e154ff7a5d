import t from 'tap'
import { Client } from '../support/client.ts'
import { call, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'
import { eddsa, licence, replaceFile, token } from '../trust/signing.ts'

const operator = eddsa()
const key = eddsa()
const folder = t.testdir({ 'revoked.json': '[]' })
const revoked = `${folder}/revoked.json`
const relay = await startRelay(
  t,
  {},
  { THROUGHLINE_OPERATOR_JWKS: JSON.stringify(operator.jwk), THROUGHLINE_REVOKED: revoked },
)

const now = Math.floor(Date.now() / 1000)
const lifetime = { iat: now, exp: now + 600 }
const site = { keys: [key.jwk], origins: ['https://guest.example'] }
const papers = (jti: string): string => licence(operator, { sub: 'guest', jti, site, ...lifetime })
const user = token(key, { iss: 'guest', aud: 'throughline', sub: '7', threads: { t1: ['read'] }, ...lifetime })
const server = token(key, { iss: 'guest', aud: 'throughline:api', ...lifetime })

await t.test('a site that no file names publishes and connects with its licence, until that is revoked', async t => {
  const [first, second] = [papers('l1'), papers('l2')]
  const doomed = await Client.connect(t, relay, user, { licence: first })
  const spared = await Client.connect(t, relay, user, { licence: second })
  for (const client of [doomed, spared]) t.match(await client.subscribe('t1'), { op: 'subscribed' })
  const event = { to: { thread: 't1' }, type: 'm', data: 1 }
  t.match(await call(relay, server, '/v1/publish', event), { status: 401, body: { code: 'unknown_site' } })
  t.equal((await call(relay, server, '/v1/publish', event, { 'throughline-licence': first })).status, 200)
  await until(() => doomed.events().length === 1 && spared.events().length === 1, { what: 'the event' })

  replaceFile(revoked, '["l1"]')
  t.same(await doomed.expectClose(), { code: 4403, reason: 'licence_revoked' })
  t.match(await call(relay, server, '/v1/publish', event, { 'throughline-licence': first }), {
    body: { code: 'licence_revoked' },
  })
  t.equal((await call(relay, server, '/v1/publish', event, { 'throughline-licence': second })).status, 200)
  await until(() => spared.events().length === 2, { what: 'the second event' })
  const again = await Client.open(t, relay)
  again.send({ op: 'connect', token: user, licence: first })
  t.same(await again.expectClose(), { code: 4403, reason: 'licence_revoked' })
})
