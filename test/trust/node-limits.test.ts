import { join } from 'node:path'
import { t } from 'tap'
import { readNodeLimits } from '../../src/trust/site-limits.ts'
import { TrustConfigError } from '../../src/trust/wrong.ts'
import { eddsa, hs256, licence, open, site, token, user } from './signing.ts'

await t.test('without the variable a node has its defaults', async t => {
  t.strictSame(await readNodeLimits(undefined), {
    caps: { backpressure_bytes: 4_194_304 },
    attemptsPerSecond: 50,
    unauthenticated: 200,
    backpressureBytes: 4_194_304,
  })
})

await t.test('it may be JSON or the path of a file', async t => {
  const text = '{"connections": 9, "address_attempts_per_second": 5, "address_unauthenticated": 6}'
  const expected = { caps: { connections: 9 }, attemptsPerSecond: 5, unauthenticated: 6 }
  t.match(await readNodeLimits(text), expected)
  t.match(await readNodeLimits(join(t.testdir({ 'limits.json': text }), 'limits.json')), expected)
})

await t.test('a wrong one stops the start and names what is wrong', async t => {
  const cases: [given: string, words: RegExp][] = [
    ['{', /^not well-formed JSON/],
    ['/no/such/file', /^\/no\/such\/file: expected a readable file or inline JSON, found neither \(ENOENT\)$/],
    [
      '{"connection": 1}',
      /^expected only connections, connections_per_user, .*, address_unauthenticated, found "connection"$/,
    ],
    ['{"__proto__": 1}', /__proto__/],
    ['{"connections": 0}', /^connections: expected a positive integer, found 0$/],
    ['{"connections": "9"}', /^connections: expected a positive integer, found a string$/],
    ['{"address_unauthenticated": null}', /^address_unauthenticated: expected a positive integer, found null$/],
    ['{"frame_bytes": 200000}', /^frame_bytes: expected at most 131072, found 200000$/],
    ['{"backpressure_bytes": 1000}', /^backpressure_bytes: expected at least 65536, found 1000$/],
  ]
  for (const [given, words] of cases) {
    const error = await readNodeLimits(given).then(
      () => undefined,
      (error: unknown) => error,
    )
    t.type(error, TrustConfigError)
    t.match(error, { variable: 'THROUGHLINE_LIMITS', message: words }, given)
  }
})

await t.test('of what a site asks for and what the node allows, the smaller counts', async t => {
  const signer = hs256()
  const { caps } = await readNodeLimits(
    '{"connections": 100, "connections_per_user": 5, "threads": 2000, "frames_per_second": 10, "backpressure_bytes": 100000}',
  )
  const acme = { ...site(signer), limits: { connections: 50, connections_per_user: 6, threads: 3000, frames_burst: 7 } }
  const { trust } = await open(t, { sites: { acme, quiet: site(signer) }, caps })
  const { site: asking } = await trust.verifyUser(token(signer, user()))
  t.match(asking.limits, { connections: 50, connectionsPerUser: 5, threads: 2000, framesPerSecond: 10, framesBurst: 7 })
  const { site: silent } = await trust.verifyUser(token(signer, user({ iss: 'quiet' })))
  t.match(silent.limits, {
    connections: 100,
    connectionsPerUser: 5,
    threads: 1000,
    framesPerSecond: 10,
    framesBurst: 20,
    publishesPerSecond: Infinity,
    backpressureBytes: 100_000,
  })
})

await t.test('a licence cannot ask for more than the node allows either', async t => {
  const [operator, signer] = [eddsa(), eddsa()]
  const { trust } = await open(t, { operator: operator.jwk, caps: { threads: 10 } })
  const pass = licence(operator, { sub: 'acme', site: { ...site(signer), limits: { threads: 1000, connections: 3 } } })
  t.match((await trust.verifyUser(token(signer, user()), pass)).site.limits, { threads: 10, connections: 3 })
})
