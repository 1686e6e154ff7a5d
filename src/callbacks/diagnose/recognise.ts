import type { Posted } from '../post.ts'
import type { Culprit, Found } from './culprits.ts'

/** Products that block, by what is in their page or headers, and by their name in `server` where that is not enough. */
const BLOCKERS: readonly [Culprit, name: string, sign: RegExp, server?: string][] = [
  ['cdn_challenge', 'Cloudflare', /cf-mitigated: challenge|<title>just a moment\.\.\./],
  ['cdn_challenge', 'DDoS-Guard', /checking your browser|js-challenge/, 'ddos-guard'],
  ['cdn_challenge', 'AWS WAF', /x-amzn-waf-action: (challenge|captcha)/],
  ['cdn_challenge', 'Vercel', /x-vercel-mitigated: challenge/],
  ['cdn_challenge', 'SiteGround', /sg-captcha: challenge|\.well-known\/sgcaptcha/],
  ['cdn_block', 'Sucuri', /sucuri website firewall|x-sucuri-block/],
  ['cdn_block', 'Imperva', /incapsula incident id/],
  ['cdn_block', 'Akamai', /access denied/, 'akamaighost'],
  ['cdn_block', 'Cloudflare', /error code: 10\d\d|cf-error-details|sorry, you have been blocked/, 'cloudflare'],
  ['firewall_plugin', 'Wordfence', /wordfence/],
  ['firewall_plugin', 'NinjaFirewall', /ninjafirewall/],
  ['firewall_plugin', 'Solid Security', /(ithemes|solid) security/],
  ['firewall_plugin', 'All-In-One Security', /all[- ]in[- ]one (wp )?security/],
  ['firewall_plugin', 'BulletProof Security', /bulletproof security|bps (pro|plugin)/],
  ['firewall_plugin', 'Imunify360', /imunify360/],
  ['firewall_plugin', 'BitNinja', /bitninja/],
  ['firewall_plugin', 'ModSecurity', /mod_security|modsecurity|<h1>not acceptable!/],
]

/** `code` in an answer of WordPress' REST API, by those who switch it off. */
const REST_OFF =
  /^rest_(disabled|api_disabled|not_logged_in|login_required|cannot_access|unauthorized|forbidden|authentication_error|api_authentication_required)$/
const PHP_ERROR =
  /<b>(fatal|parse) error<\/b>:|php (fatal|parse) error|(fatal|parse) error: |uncaught (\w+\\)*\w*(error|exception)|there has been a critical error on (this|your) website|error establishing a database connection/
const MAINTENANCE = /briefly unavailable for scheduled maintenance|maintenance|wartungs/
const LOGIN = /type=["']?password|wp-login\.php|name=["']?loginform/
const HTML = /<!doctype html|<html[\s>]/
/** Seconds that Standard Webhooks lets a timestamp be off. */
const TOLERANCE = 300

/** Returns the likely culprit of an answer in which the challenge did not come back. Redirects are redirects.ts'. */
export function recognise(posted: Posted, now: number): Found {
  const { status, headers } = posted
  const body = posted.body.toLowerCase()
  const all = `${Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}`)
    .join('\n')}\n\n${posted.body}`.toLowerCase()
  const theirServer = (headers['server'] ?? '').toLowerCase()
  const seen = `HTTP ${status}`

  // Whoever blocks is named on pages of his that do not block as well, in a script or at the foot of the page.
  const mayBlock = status >= 400 && status !== 404
  const blocker = BLOCKERS.find(
    ([culprit, , sign, server = '']) =>
      (mayBlock || culprit === 'cdn_challenge') && theirServer.startsWith(server) && sign.test(all),
  )
  if (blocker !== undefined) return { culprit: blocker[0], seen: `${blocker[1]}, ${seen}` }
  const code = restCode(posted.body)
  if (REST_OFF.test(code)) return { culprit: 'rest_disabled', seen: code }
  if (code === 'rest_no_route') return { culprit: 'no_route', seen: code }
  const off = skew(headers, now)
  if (status >= 400 && status < 500 && Math.abs(off) > TOLERANCE) {
    return { culprit: 'clock', seen: `the site's is ${Math.abs(off)} s ${off < 0 ? 'behind' : 'ahead'}` }
  }
  if ([400, 401, 403].includes(status) && !HTML.test(body) && /signature/.test(body)) {
    return { culprit: 'wrong_signature', seen }
  }
  if (status === 401 && headers['www-authenticate'] !== undefined) return { culprit: 'basic_auth', seen }
  if (PHP_ERROR.test(body)) return { culprit: 'php_error', seen }
  if (status === 503 && MAINTENANCE.test(body)) return { culprit: 'maintenance', seen }
  const encoding = headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity') return { culprit: 'compressed', seen: encoding }
  if (LOGIN.test(body)) return { culprit: 'login_wall', seen }
  return { culprit: byStatus(status, HTML.test(body)), seen }
}

function byStatus(status: number, isPage: boolean): Culprit {
  if (status === 404 || status === 405) return 'not_found'
  if (status === 410) return 'gone'
  if (status === 429 || status === 503) return 'overloaded'
  if (status >= 500) return 'server_error'
  if (status >= 400) return 'refused'
  return isPage ? 'another_page' : 'no_challenge'
}

function restCode(body: string): string {
  try {
    const { code } = JSON.parse(body) as { code?: unknown }
    return typeof code === 'string' ? code : ''
  } catch {
    return ''
  }
}

/** Returns by how many seconds the site's clock is ahead of ours, as its Date header tells; 0 without one. */
function skew({ date = '' }: Posted['headers'], now: number): number {
  const theirs = Date.parse(date)
  return Number.isNaN(theirs) ? 0 : Math.round((theirs - now) / 1000)
}
