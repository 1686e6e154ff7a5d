import { readFile } from 'node:fs/promises'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import t from 'tap'
import { openFolder, refused } from './throughline.ts'

const folder = await openFolder(t)
await folder.shell(`
  throughline keys --out operator.json > operator-public.json
  throughline keys --alg ES256 --kid one --out site.json > site-public.json
  throughline keys --kid one > /dev/null --out twin.json; throughline keys --kid one --out twin2.json > twin-public.json
  throughline keys --alg HS256 --out secret.json`)

const licence = (...args: string[]): ReturnType<typeof folder.run> => {
  const given = {
    '--operator-key': 'operator.json',
    '--site': 'acme',
    '--key': 'site-public.json',
    '--origin': 'https://example.com',
  }
  const missing = Object.entries(given).filter(([name]) => !args.includes(name))
  return folder.run('licence', ...missing.flat(), ...args)
}

await t.test('holds the site’s public keys and origins, for a year unless said', async t => {
  const { code, stdout } = await licence(
    '--key',
    'site-public.json',
    '--origin',
    'https://a.example',
    '--origin',
    'https://b.example',
  )
  t.equal(code, 0)
  t.match(decodeProtectedHeader(stdout), { alg: 'EdDSA', typ: 'licence+jwt', kid: String })
  const key: unknown = JSON.parse(await readFile(folder.file('site-public.json'), 'utf8'))
  const { iat = 0, exp, jti, ...rest } = decodeJwt(stdout)
  t.strictSame(rest, {
    iss: 'throughline',
    sub: 'acme',
    site: { keys: [key], origins: ['https://a.example', 'https://b.example'] },
  })
  t.equal(exp, iat + 365 * 86_400)
  t.match(jti, /^[\w-]{16}$/)
})

await t.test('--jti and --for are taken', async t => {
  const { iat = 0, exp, jti } = decodeJwt((await licence('--jti', 'a-1', '--for', '30d')).stdout)
  t.strictSame([jti, (exp ?? 0) - iat], ['a-1', 30 * 86_400])
})

await t.test('holds no private key and no secret, which browsers would see', async t => {
  refused(t, await licence('--key', 'site.json'), 1, 'site.json holds a private key')
  refused(t, await licence('--key', 'secret.json'), 1, 'secret.json holds a shared secret')
})

await t.test('several keys need different kids', async t => {
  refused(t, await licence('--key', 'site-public.json', '--key', 'twin-public.json'), 1, 'several keys need a kid each')
})

await t.test('only a private Ed25519 key can be the operator’s', async t => {
  refused(t, await licence('--operator-key', 'site.json'), 1, 'site.json is not an Ed25519 key')
  refused(t, await licence('--operator-key', 'operator-public.json'), 1, 'a public key cannot sign')
})

await t.test('every part must be named', async t => {
  refused(t, await folder.run('licence'), 64, '--operator-key FILE is missing')
  refused(t, await folder.run('licence', '--operator-key', 'operator.json'), 64, '--site ID is missing')
  refused(t, await folder.run('licence', '--operator-key', 'operator.json', '--site', 'a'), 64, '--key FILE is missing')
  refused(t, await licence('--origin', 'https://example.com/'), 64, 'use https://example.com;')
})
