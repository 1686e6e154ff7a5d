import { execFileSync } from 'node:child_process'
import { createPublicKey, generateKeyPairSync, randomBytes, verify } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { signatureHeaders } from '../../src/callbacks/sign.ts'

const { privateKey: key } = generateKeyPairSync('ed25519')
const [secret, next] = [randomBytes(24), randomBytes(64)].map(bytes => `whsec_${bytes.toString('base64')}`) as [
  string,
  string,
]
const now = Math.floor(Date.now() / 1000)
const body = '{"site":"acme","events":[{"id":"1","type":"user.online","user":"7"}]}'

await t.test('the published library verifies what a secret signs, and no other body, id or secret', async t => {
  const headers = signatureHeaders({ secrets: [secret], key }, 'msg_1', now, body)
  t.strictSame(new Webhook(secret).verify(body, headers), JSON.parse(body))
  t.throws(() => new Webhook(secret).verify(`${body} `, headers), /No matching signature/)
  t.throws(() => new Webhook(secret).verify(body, { ...headers, 'webhook-id': 'msg_2' }), /No matching signature/)
  t.throws(() => new Webhook(next).verify(body, headers), /No matching signature/)
})

await t.test('while a secret is replaced, both the old and the new one verify', async t => {
  const headers = signatureHeaders({ secrets: [next, secret], key }, 'msg_1', now, body)
  for (const one of [secret, next]) t.strictSame(new Webhook(one).verify(body, headers), JSON.parse(body))
  t.equal(headers['webhook-signature'].split(' ').length, 3)
})

await t.test("without a secret there is the relay's own signature alone, and node:crypto verifies it", async t => {
  const headers = signatureHeaders({ secrets: [], key }, 'msg_1', now, body)
  const [version, signature = ''] = headers['webhook-signature'].split(',')
  t.equal(version, 'v1a')
  const check = (text: string): boolean =>
    verify(null, Buffer.from(text), createPublicKey(key), Buffer.from(signature, 'base64'))
  t.ok(check(`msg_1.${now}.${body}`))
  t.notOk(check(`msg_1.${now + 1}.${body}`))
})

// Reads a request from its first argument; prints what hash_hmac and sodium say of it.
const PHP = `
[$id, $time, $signatures, $body, $secret, $public] = json_decode($argv[1]);
$content = "$id.$time.$body";
foreach (explode(' ', $signatures) as $one) {
    [$version, $signature] = explode(',', $one, 2);
    echo $version, ' ', $version === 'v1'
        ? json_encode(hash_equals(base64_encode(hash_hmac('sha256', $content, base64_decode(substr($secret, 6)), true)), $signature))
        : json_encode(sodium_crypto_sign_verify_detached(base64_decode($signature), $content, base64_decode($public))), "\\n";
}`

await t.test('PHP verifies both kinds with hash_hmac and sodium, and neither for another body', async t => {
  const headers = signatureHeaders({ secrets: [secret], key }, 'msg_1', now, body)
  const raw = Buffer.from(createPublicKey(key).export({ format: 'jwk' }).x!, 'base64url').toString('base64')
  const ask = (text: string): string => {
    const request = [headers['webhook-id'], headers['webhook-timestamp'], headers['webhook-signature'], text]
    return execFileSync('php', ['-r', PHP, '--', JSON.stringify([...request, secret, raw])], { encoding: 'utf8' })
  }
  t.equal(ask(body), 'v1 true\nv1a true\n')
  t.equal(ask(`${body} `), 'v1 false\nv1a false\n')
})
