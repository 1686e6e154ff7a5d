import { execFileSync } from 'node:child_process'
import { t } from 'tap'
import type { SiteId, UserId } from '../../src/protocol/ids.ts'
import { readIce } from '../../src/trust/ice.ts'
import type { Site } from '../../src/trust/site.ts'
import { iceServers, turnCredential } from '../../src/trust/turn.ts'

const SECRET = 'north-of-the-river-0'

/** The scheme as another program computes it. */
function byOpenssl(secret: string, username: string): string {
  const digest = execFileSync('openssl', ['dgst', '-sha1', '-hmac', secret, '-binary'], { input: username })
  return digest.toString('base64')
}

await t.test('a credential is what openssl makes of secret and username', async t => {
  // printf '1800003600:acme.7' | openssl dgst -sha1 -hmac north-of-the-river-0 -binary | openssl base64
  t.strictSame(turnCredential(SECRET, 'acme.7', 1_800_003_600), {
    username: '1800003600:acme.7',
    credential: 'J7VkANPi9TyFOseIMMsdW0JFoJU=',
  })
  for (const id of ['acme.7', 'a.b', 'acme.Aa0_.:@-', `acme.${'x'.repeat(128)}`]) {
    const { username, credential } = turnCredential(SECRET, id, 1_800_000_000)
    t.equal(credential, byOpenssl(SECRET, username), username)
  }
})

await t.test('STUN servers come without credentials, TURN servers with one for site and user', async t => {
  const site = { id: 'acme' as SiteId } as Site
  const urls = ['turn:a.example?transport=udp', 'stun:b.example', 'turns:a.example:443']
  const servers = iceServers(readIce({ urls, secret: SECRET, ttl: 60 }, ''), site, '7' as UserId, 1_800_000_000_999)
  t.strictSame(servers, [
    { urls: ['stun:b.example'] },
    {
      urls: ['turn:a.example?transport=udp', 'turns:a.example:443'],
      username: '1800000060:acme.7',
      credential: byOpenssl(SECRET, '1800000060:acme.7'),
    },
  ])
  const stun = readIce({ urls: ['stun:b.example'] }, '')
  t.strictSame(iceServers(stun, site, '7' as UserId, 0), [{ urls: ['stun:b.example'] }])
})
