/** What a site may comes from its newest licence that the cluster has seen (CONTRACT 9). */
import { t } from 'tap'
import { Keys } from '../../src/redis/keys.ts'
import { openRedis } from '../../src/redis/redis.ts'
import { RedisLicences } from '../../src/trust/licence-share.ts'
import type { LicenceShare } from '../../src/trust/newest.ts'
import { startRedis } from '../support/redis.ts'
import { until } from '../support/until.ts'
import { eddsa, licence, NOW, open, refusal, server, site, token, user } from './signing.ts'

const operator = eddsa()
const [oldKey, newKey] = [eddsa('k1'), eddsa('k2')]
const papers = (jti: string, iat: number, threads: number, more: object = {}): string =>
  licence(operator, {
    sub: 'acme',
    jti,
    iat,
    site: { ...site(jti === 'old' ? oldKey : newKey), origins: [`https://${jti}.example`], limits: { threads } },
    ...more,
  })
const [OLD, NEW] = [papers('old', NOW - 100, 5), papers('new', NOW, 9)]

await t.test('an older licence verifies its keys, and everything else is as the newest says', async t => {
  const { trust } = await open(t, { operator: operator.jwk })
  const ofOld = token(oldKey, user())
  t.match(await trust.verifyUser(ofOld, OLD), { site: { limits: { threads: 5 } } })
  t.match(await trust.verifyUser(token(newKey, user()), NEW), { site: { limits: { threads: 9 } } })
  const identity = await trust.verifyUser(ofOld, OLD)
  t.match(identity, { site: { limits: { threads: 9 } }, licence: { id: 'old' } })
  t.same([...identity.site.origins], ['https://new.example'])
  t.equal((await trust.verifyUser(ofOld, OLD)).site, identity.site, 'the same site object')
  t.match(await refusal(trust.verifyUser(token(newKey, user()), OLD)), { code: 'token_key' }, 'keys are its own')
})

await t.test('a server token that is remembered goes by the newest as well', async t => {
  const { trust } = await open(t, { operator: operator.jwk })
  const call = token(oldKey, server())
  t.match(await trust.verifyServer(call, OLD), { site: { limits: { threads: 5 } } })
  await trust.verifyUser(token(newKey, user()), NEW)
  t.match(await trust.verifyServer(call, OLD), { site: { limits: { threads: 9 } } })
})

await t.test('a site is found by its newest licence, also on a node that was never shown one', async t => {
  const texts = new Map<string, string>()
  const share: LicenceShare = {
    offer: async (site, _issuedAt, _expires, text) => void texts.set(site, text),
    ask: async site => texts.get(site),
  }
  const callback = { url: 'https://acme.example/hook', events: ['user.*'] }
  const paper = papers('new', NOW, 9, { site: { ...site(newKey), callback } })
  const [one, two] = [
    await open(t, { operator: operator.jwk, share }),
    await open(t, { operator: operator.jwk, share }),
  ]
  const { site: shown } = await one.trust.verifyUser(token(newKey, user()), paper)
  t.match(shown.callback, { url: callback.url, data: false, secrets: [] })
  t.equal(one.trust.findSite(shown.id), shown)
  t.match(await two.trust.findSite(shown.id), { callback: { url: callback.url } })
  texts.set('globex', paper)
  t.equal(await two.trust.findSite('globex' as typeof shown.id), undefined, 'a licence of another site')
})

await t.test('one that has expired or was revoked is not the newest any more', async t => {
  const { trust, clock, write } = await open(t, { operator: operator.jwk, revoked: [] })
  const short = papers('new', NOW, 9, { exp: NOW + 60 })
  const threads = async () => (await trust.verifyUser(token(oldKey, user()), OLD)).site.limits.threads
  await trust.verifyUser(token(newKey, user()), short)
  t.equal(await threads(), 9)
  clock.seconds += 100
  t.equal(await threads(), 5)
  clock.seconds -= 100
  t.equal(await threads(), 9)
  write('revoked', ['new'])
  await until(async () => (await threads()) === 5, { what: 'the revocation to be seen' })
})

await t.test('nodes learn of a newer one through Redis, and believe nothing that is not signed', async t => {
  const redis = await startRedis(t)
  const link = openRedis({ kind: 'single', url: redis.url })
  t.teardown(() => link.close())
  await until(() => link.ready, { what: 'Redis' })
  const share: LicenceShare = new RedisLicences(link, new Keys('tl'))
  const [one, two, three] = [
    await open(t, { operator: operator.jwk, share }),
    await open(t, { operator: operator.jwk, share }),
    await open(t, { operator: operator.jwk, share }),
  ]
  const threads = async ({ trust }: typeof one) =>
    (await trust.verifyUser(token(oldKey, user()), OLD)).site.limits.threads
  t.equal(await threads(two), 5)
  await one.trust.verifyUser(token(newKey, user()), NEW)
  t.equal(await threads(three), 9, 'a node that meets the site for the first time asks')
  two.clock.seconds += 31
  await until(async () => (await threads(two)) === 9, { what: 'the second node to ask again' })

  // Not the last character of the signature: it has bits that mean nothing.
  const forged = papers('new', NOW + 1000, 1).replace(
    /\.(.)([^.]*)$/,
    (_, first, rest) => `.${first === 'A' ? 'B' : 'A'}${rest}`,
  )
  const [entry] = await redis.entries()
  t.ok(entry!.ttl > 0)
  await redis.cli('HSET', entry!.key, 'iat', NOW + 1000, 'text', forged)
  const four = await open(t, { operator: operator.jwk, share })
  t.equal(await threads(four), 5)
  await redis.stop()
  const five = await open(t, { operator: operator.jwk, share })
  t.equal(await threads(five), 5, 'without Redis a node goes by what it has seen')
})
