import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { t } from 'tap'
import { systemClock } from '../../src/lib/clock.ts'
import { openTrust } from '../../src/trust/trust.ts'
import { until } from '../support/until.ts'
import { hs256, open, refusal, replaceFile, server, site, token, user } from './signing.ts'

await t.test('a changed site file counts from the next verification, a broken one between changes nothing', async t => {
  const [first, second] = [hs256(), hs256()]
  const { trust, warnings, write } = await open(t, { sites: { acme: site(first) } })
  let changes = 0
  trust.onChange(() => changes++)
  const old = token(first, user())
  t.ok(await trust.verifyUser(old))

  write('sites', '{"acme": {"keys": [')
  await until(() => warnings.length === 1, { what: 'a warning' })
  t.match(
    warnings[0],
    /^THROUGHLINE_SITES was not reloaded, the last good one still counts: .*sites\.json: not well-formed/,
  )
  t.ok(await trust.verifyUser(old), 'the old file still counts')

  write('sites', { acme: { ...site(second), origins: ['https://a.example/'] } })
  await until(() => warnings.length === 2, { what: 'a second warning' })
  t.match(warnings[1], /acme\.origins\[0\]: expected an origin as browsers send it; write https:\/\/a\.example/)
  t.equal(changes, 0)

  write('sites', { acme: site(second), beta: site(first) })
  await until(() => changes === 1, { what: 'the change' })
  t.equal((await refusal(trust.verifyUser(old))).code, 'token_signature')
  t.equal((await trust.verifyUser(token(second, user()))).site.id, 'acme')
  t.equal((await trust.verifyServer(token(first, server({ iss: 'beta' })))).site.id, 'beta')
  t.equal(warnings.length, 2, 'each fault is told once')
})

await t.test('a site taken out of the file is unknown from then on', async t => {
  const signer = hs256()
  const { trust, write } = await open(t, { sites: { acme: site(signer) } })
  let changes = 0
  trust.onChange(() => changes++)
  write('sites', {})
  await until(() => changes === 1, { what: 'the change' })
  t.equal((await refusal(trust.verifyUser(token(signer, user())))).code, 'unknown_site')
})

await t.test(
  'a file that is away for a while keeps its content, is warned of once, and is taken over when it is back',
  async t => {
    const signer = hs256()
    const path = join(t.testdir(), 'sites.json')
    replaceFile(path, JSON.stringify({ acme: site(signer) }))
    const warnings: string[] = []
    const clock = { now: () => 1_800_000_000_000 }
    const trust = await openTrust({ sites: path, clock, warn: message => warnings.push(message), reloadMs: 5 })
    t.teardown(() => trust.close())
    let changes = 0
    trust.onChange(() => changes++)
    rmSync(path)
    await until(() => warnings.length > 0, { what: 'a warning' })
    t.ok(await trust.verifyUser(token(signer, user())))
    replaceFile(path, JSON.stringify({ beta: site(signer) }))
    await until(() => changes === 1, { what: 'the change' })
    t.match(warnings, [/expected a readable file, found none \(ENOENT\)/])
    t.equal(warnings.length, 1)
    t.ok(await trust.verifyUser(token(signer, user({ iss: 'beta' }))))
  },
)

await t.test('two changes of the same length at once are both seen', async t => {
  const { trust, write } = await open(t, { revoked: ['a'], sites: {} })
  for (const id of ['b', 'c', 'd', 'e']) {
    write('revoked', [id])
    await until(() => trust.isRevoked(id), { what: `revocation of ${id}` })
  }
  t.notOk(trust.isRevoked('a'))
})

await t.test('a broken list of revoked licences takes no revocation back', async t => {
  const { trust, warnings, write } = await open(t, { revoked: ['a'], sites: {} })
  write('revoked', '["b"')
  await until(() => warnings.length === 1, { what: 'a warning' })
  t.match(warnings[0], /^THROUGHLINE_REVOKED was not reloaded/)
  t.strictSame([trust.isRevoked('a'), trust.isRevoked('b')], [true, false])
})

await t.test('closed, it looks at its files no more', async t => {
  const folder = t.testdir({ 'revoked.json': '[]', 'sites.json': '{}' })
  const [sites, path] = [join(folder, 'sites.json'), join(folder, 'revoked.json')]
  const open = () => openTrust({ sites, revoked: path, clock: systemClock, warn: () => undefined, reloadMs: 5 })
  const [closed, witness] = [await open(), await open()]
  t.teardown(() => witness.close())
  closed.close()
  replaceFile(path, '["a"]')
  await until(() => witness.isRevoked('a'), { what: 'the change to be seen by one that is open' })
  replaceFile(path, '["b"]')
  await until(() => witness.isRevoked('b'), { what: 'the second change' })
  t.notOk(closed.isRevoked('a'))
  t.notOk(closed.isRevoked('b'))
})
