import { createPrivateKey, createPublicKey, type JsonWebKey, sign, verify } from 'node:crypto'
import { readFile, stat, writeFile } from 'node:fs/promises'
import t from 'tap'
import { openFolder, refused } from './throughline.ts'

const folder = await openFolder(t)

for (const [alg, kty, crv, hash] of [
  ['EdDSA', 'OKP', 'Ed25519', null],
  ['ES256', 'EC', 'P-256', 'sha256'],
] as const) {
  await t.test(`${alg}: prints both halves of one key, with kid and alg`, async t => {
    const { code, stdout } = await folder.run('keys', '--alg', alg, '--kid', 'k1')
    t.equal(code, 0)
    const key = JSON.parse(stdout) as { private: JsonWebKey; public: JsonWebKey }
    t.match(key.public, { kty, crv, alg, kid: 'k1', use: 'sig' })
    t.equal(key.public['d'], undefined)
    const data = Buffer.from('anything')
    const signature = sign(hash, data, createPrivateKey({ key: key.private, format: 'jwk' }))
    t.ok(
      verify(hash, data, createPublicKey({ key: key.public, format: 'jwk' }), signature),
      'the halves belong together',
    )
  })
}

await t.test('HS256: prints one secret of 256 bits', async t => {
  const [one, two] = await Promise.all([folder.run('keys', '--alg', 'HS256'), folder.run('keys', '--alg', 'HS256')])
  const key = JSON.parse(one.stdout) as JsonWebKey
  t.match(key, { kty: 'oct', alg: 'HS256', kid: String })
  t.equal(Buffer.from(String(key.k), 'base64url').length, 32)
  t.not(one.stdout, two.stdout)
})

await t.test('--out writes the private key for its owner only and prints the public one', async t => {
  const { code, stdout } = await folder.run('keys', '--out', 'private.json')
  t.equal(code, 0)
  const { d, ...rest } = JSON.parse(await readFile(folder.file('private.json'), 'utf8')) as JsonWebKey
  t.type(d, 'string')
  t.strictSame(JSON.parse(stdout), rest)
  t.equal((await stat(folder.file('private.json'))).mode & 0o777, 0o600)
})

await t.test('--out of a secret prints nothing', async t => {
  t.match(await folder.run('keys', '--alg', 'HS256', '--out', 'secret.json'), { code: 0, stdout: '', stderr: '' })
  t.match(JSON.parse(await readFile(folder.file('secret.json'), 'utf8')), { kty: 'oct' })
})

await t.test('--out never overwrites', async t => {
  await writeFile(folder.file('precious.json'), 'mine')
  refused(t, await folder.run('keys', '--out', 'precious.json'), 1, 'precious.json is there already')
  t.equal(await readFile(folder.file('precious.json'), 'utf8'), 'mine')
})

await t.test('another algorithm is refused', async t => {
  refused(t, await folder.run('keys', '--alg', 'RS256'), 64, '--alg "RS256" is not EdDSA, ES256 or HS256')
})
