import { readFile } from 'node:fs/promises'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import t from 'tap'
import { token as command } from '../../src/commands/token.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { openTrust, PRESENCE, READ, SEND, type Trust } from '../../src/trust/trust.ts'
import { misused, openFolder, refused } from './throughline.ts'

const folder = await openFolder(t)
await folder.shell(`
  throughline site add acme --origin https://example.com
  for alg in EdDSA ES256; do
    throughline keys --alg $alg --out $alg.json > $alg-public.json
    throughline site add $(echo $alg | tr A-Z a-z) --origin https://example.com --key $alg-public.json
  done
  throughline keys --out operator.json > operator-public.json
  throughline licence --operator-key operator.json --site guest --key EdDSA-public.json --key ES256-public.json \\
    --origin https://guest.example --jti first > guest.licence`)

const trust: Trust = await openTrust({
  sites: folder.file('sites.json'),
  operatorJwks: folder.file('operator-public.json'),
  clock: systemClock,
  warn: message => t.fail(message),
})
t.teardown(() => trust.close())

async function token(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await folder.run('token', ...args)
  if (code !== 0 || stderr !== '' || !/^[\w-]+\.[\w-]+\.[\w-]+\n$/.test(stdout))
    throw new Error(`no token alone: ${stdout}${stderr}`)
  return stdout.trim()
}

await t.test('a node takes a user token, with the threads that it names', async t => {
  const text = await token('--site', 'acme', '--user', '7', '--thread', '42=read,send', '--thread', 'a:b=presence')
  const { site, user, threads } = await trust.verifyUser(text)
  t.strictSame({ site: String(site.id), user: String(user) }, { site: 'acme', user: '7' })
  t.strictSame(
    [...threads],
    [
      ['42', READ | SEND],
      ['a:b', PRESENCE],
    ],
  )
  const { iat = 0, exp } = decodeJwt(text)
  t.equal(exp, iat + 3600, 'one hour unless said')
})

await t.test('a user token without threads names none', async t => {
  const { threads } = await trust.verifyUser(await token('--site', 'acme', '--user', 'ann@example.com'))
  t.equal(threads.size, 0)
})

await t.test('a node takes a server token, with its scope', async t => {
  const all = await trust.verifyServer(await token('--site', 'acme', '--api'))
  t.equal(all.scopes, undefined)
  const text = await token('--site', 'acme', '--api', '--scope', 'publish presence', '--for', '90s')
  t.strictSame([...((await trust.verifyServer(text)).scopes ?? [])], ['publish', 'presence'])
  const { iat = 0, exp } = decodeJwt(text)
  t.equal(exp, iat + 90)
})

await t.test('one form is not good for the other', async t => {
  await t.rejects(trust.verifyUser(await token('--site', 'acme', '--api')), { code: 'token_audience' })
  await t.rejects(trust.verifyServer(await token('--site', 'acme', '--user', '7')), { code: 'token_audience' })
})

for (const alg of ['EdDSA', 'ES256']) {
  await t.test(`a node takes what an ${alg} key has signed, and its kid stands in the header`, async t => {
    const site = alg.toLowerCase()
    const text = await token('--site', site, '--key', `${alg}.json`, '--user', '7')
    t.equal(String((await trust.verifyUser(text)).site.id), site)
    const { kid } = JSON.parse(await readFile(folder.file(`${alg}.json`), 'utf8')) as { kid: string }
    t.strictSame(decodeProtectedHeader(text), { alg, kid })
  })
}

await t.test('a node takes the licence that the operator made, and tokens of the site under it', async t => {
  const licence = (await readFile(folder.file('guest.licence'), 'utf8')).trim()
  for (const alg of ['EdDSA', 'ES256']) {
    const who = await trust.verifyUser(await token('--site', 'guest', '--key', `${alg}.json`, '--user', '7'), licence)
    t.strictSame([...who.site.origins], ['https://guest.example'])
    t.equal(who.licence?.id, 'first')
  }
})

await t.test('what cannot be signed is refused', async t => {
  const api = ['--site', 'acme', '--api']
  refused(t, await folder.run('token', '--site', 'nobody', '--api'), 1, 'sites.json has no site nobody')
  refused(
    t,
    await folder.run('token', '--site', 'eddsa', '--api'),
    1,
    'sites.json has no secret of eddsa for HS256; give its private key with --key FILE',
  )
  refused(t, await folder.run('token', ...api, '--sites', 'none.json'), 1, 'none.json is not there')
  refused(
    t,
    await folder.run('token', ...api, '--key', 'EdDSA-public.json'),
    1,
    'a public key cannot sign; give the private one',
  )
  refused(t, await folder.run('token', ...api, '--key', 'sites.json'), 1, 'sites.json is not a JWK')
})

await t.test('a command line that says too little, too much or what nobody could mean is refused', async t => {
  const user = ['--site', 'acme', '--user', '7']
  const cases: [string[], string][] = [
    [['--user', '7'], '--site ID is missing'],
    [['--site', 'acme'], 'say either --user ID or --api'],
    [[...user, '--api'], 'say either --user ID or --api'],
    [['--site', 'acme', '--api', '--thread', '42=read'], '--thread goes with --user'],
    [[...user, '--scope', 'publish'], '--scope goes with --api'],
    [
      ['--site', 'acme', '--api', '--scope', 'publish everything'],
      '--scope has "everything"; the words it knows are publish, presence, manage',
    ],
    [['--site', 'acme', '--user', 'a b'], '--user "a b" is not a user id'],
    [[...user, '--thread', '42'], '--thread 42=PERMISSIONS is missing'],
    [[...user, '--thread', '42=read=send'], '--thread has "read=send"'],
    [[...user, '--thread', '../..=read'], '--thread "../.." is not a thread id'],
    [[...user, '--thread', '42=write'], '--thread has "write"; the words it knows are read, send, presence'],
    [[...user, '--for', '25h'], '--for may be 24h at most'],
    [['--site', 'acme', '--api', '--for', '61m'], '--for may be 1h at most'],
    [[...user, '--for', '1'], '--for "1" is not a time such as 90s, 10m, 1h or 30d'],
    [[...user, '--for', '0s'], '--for "0s" is not a time'],
  ]
  for (const [args, words] of cases) await misused(t, command, args, words)
})
