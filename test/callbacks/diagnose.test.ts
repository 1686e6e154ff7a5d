import { execFileSync, spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { AddressGuard, type Resolve } from '../../src/callbacks/address-guard.ts'
import { CULPRITS } from '../../src/callbacks/diagnose/culprits.ts'
import { diagnose, type Diagnosis } from '../../src/callbacks/diagnose/diagnose.ts'
import { openPoster } from '../../src/callbacks/post.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { makePair, type Pair } from '../support/certificate.ts'
import { good, nobody, SECRET, startCutter, startDropper, startOrigin, ZOO } from '../support/zoo.ts'

const PAGE = readFileSync(new URL('../../../docs/callbacks.md', import.meta.url), 'utf8')
const signer = { secrets: [SECRET], key: generateKeyPairSync('ed25519').privateKey }
const recognised = new Set<string>()

/** Plays DNS: every name ends on loopback, but for those that say otherwise. */
const resolve: Resolve = async host => {
  if (host.startsWith('nowhere')) throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' })
  if (host.startsWith('private')) return [{ address: '10.0.0.1', family: 4 }]
  // A port of loopback on which nothing listens, as a host without IPv6 sees it.
  if (host.startsWith('six')) return [{ address: '::1', family: 6 }]
  if (host.startsWith('far')) return [{ address: '127.255.255.255', family: 4 }]
  return [{ address: '127.0.0.1', family: 4 }]
}

async function run(
  t: Test,
  url: string,
  { ca, slow = false }: { ca?: string; slow?: boolean } = {},
): Promise<Diagnosis> {
  const allow = ['127.0.0.0/8', '::1/128']
  const poster = openPoster({ allow, resolve, ...(ca === undefined ? {} : { ca }) })
  t.teardown(() => poster.close())
  const diagnosis = await diagnose(
    { url, site: 'acme', signer },
    {
      guard: new AddressGuard(allow, resolve),
      poster,
      clock: systemClock,
      timeoutMs: slow ? 300 : 10_000,
      ...(ca === undefined ? {} : { ca }),
    },
  )
  if (diagnosis.culprit !== undefined) recognised.add(diagnosis.culprit.name)
  return diagnosis
}

/** Returns where it ended, and by what. */
function end({ steps, culprit }: Diagnosis): string {
  return `${steps.at(-1)?.step} ${culprit?.name}`
}

await t.test('a site that does all right passes every step', async t => {
  const url = await startOrigin(t, good)
  const { ok, steps, culprit, allow } = await run(t, url)
  t.strictSame(culprit, undefined)
  t.ok(ok)
  t.strictSame(
    steps.map(({ step, ok }) => `${step} ${ok}`),
    ['dns true', 'address true', 'tcp true', 'http true', 'challenge true', 'signature true'],
  )
  t.match(allow, { method: 'POST', path: '/wp-json/acme/v1/callback', user_agent: 'Throughline-Callbacks/1' })
})

await t.test('a notice of PHP before the answer is told, and does no harm', async t => {
  const url = await startOrigin(t, (request, response, body) => {
    const write = response.end.bind(response)
    response.end = ((text: string) => write(`<b>Notice</b>: Undefined index\n${text}`)) as typeof response.end
    good(request, response, body)
  })
  const { ok, steps } = await run(t, url)
  t.ok(ok)
  t.match(steps.find(({ step }) => step === 'challenge')?.says, /after other output/)
})

for (const [name, { culprit, seen, answer }] of Object.entries(ZOO)) {
  await t.test(`recognised: ${name}`, async t => {
    const url = await startOrigin(t, answer)
    const diagnosis = await run(t, url, { slow: culprit.startsWith('slow') })
    t.equal(diagnosis.culprit?.name, culprit, JSON.stringify(diagnosis.culprit))
    t.notOk(diagnosis.ok)
    if (seen !== undefined) t.match(diagnosis.culprit?.says, seen)
    t.notOk(diagnosis.steps.at(-1)?.ok)
  })
}

await t.test('recognised before a request is sent: names, addresses, ports', async t => {
  t.equal(end(await run(t, 'https://nowhere.example/')), 'dns dns')
  t.equal(end(await run(t, 'https://private.example/')), 'address address_refused')
  t.equal(end(await run(t, await nobody())), 'tcp nothing_listens')
  const { port } = new URL(await nobody())
  t.equal(end(await run(t, `https://six.example:${port}/`)), 'tcp ipv6_only')
  // No packet to a broadcast address leaves: the system says at once that nothing can be reached there.
  t.equal(end(await run(t, 'https://far.example/')), 'tcp unreachable')
  t.equal(end(await run(t, await startDropper(t), { slow: true })), 'tcp unreachable')
  t.equal(end(await run(t, await startCutter(t))), 'http reset')
  const plain = await startOrigin(t, good)
  t.equal(end(await run(t, plain.replace('http:', 'https:'))), 'tls tls_failed')
})

await t.test('certificates: a good one has days left, and each bad one is named', async t => {
  const { ca, good: pair, expired, other, unknown, rooted, client } = makeAuthority(t)
  const { steps, ok } = await run(t, await startOrigin(t, good, pair), { ca })
  t.ok(ok, JSON.stringify(steps))
  t.match(steps.find(({ step }) => step === 'tls')?.says, /good for (8|9) more days: renew it soon/)
  const bad: [string, Pick<Pair, 'cert' | 'key'>][] = [
    ['certificate_expired', expired],
    ['certificate_name', other],
    ['certificate_chain', unknown],
    ['certificate_self_signed', makePair()],
    ['certificate_self_signed', rooted],
    ['certificate_invalid', client],
  ]
  for (const [culprit, pair] of bad) {
    t.equal(end(await run(t, await startOrigin(t, good, pair), { ca })), `tls ${culprit}`)
  }
})

/**
 * Returns an authority, and what it signed: for the right name, long ago, for another name, for clients only; and one of an
 * authority that nobody knows, without its certificate and with it.
 */
function makeAuthority(
  t: Test,
): { ca: string } & Record<'good' | 'expired' | 'other' | 'client' | 'unknown' | 'rooted', Pick<Pair, 'cert' | 'key'>> {
  const folder = mkdtempSync(join(tmpdir(), 'throughline-ca-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const openssl = (...args: string[]): unknown => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc']
  for (const ca of ['ca', 'stranger']) {
    openssl('req', '-x509', '-days', '30', ...key, '-subj', `/CN=${ca}`, '-keyout', `${ca}.key`, '-out', `${ca}.pem`)
  }
  const read = (file: string): string => readFileSync(join(folder, file), 'utf8')
  const issue = (file: string, ca: string, name: string, ...when: string[]): Pick<Pair, 'cert' | 'key'> => {
    const use = file === 'client' ? ['-addext', 'extendedKeyUsage=clientAuth'] : []
    const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`, ...use]
    openssl('req', ...key, ...subject, '-keyout', `${file}.key`, '-out', `${file}.csr`)
    const by = ['-CA', `${ca}.pem`, '-CAkey', `${ca}.key`, '-CAcreateserial', '-copy_extensions', 'copy']
    openssl('x509', '-req', '-in', `${file}.csr`, ...by, ...when, '-out', `${file}.pem`)
    return { cert: read(`${file}.pem`), key: read(`${file}.key`) }
  }
  const name = '127-0-0-1.example'
  // OpenSSL 3.4 and newer let no end come before the beginning; older ones have no other way.
  const { stdout, stderr } = spawnSync('openssl', ['x509', '-help'], { encoding: 'utf8' })
  const dates = ['-not_before', '20200101000000Z', '-not_after', '20200102000000Z']
  const past = `${stdout}${stderr}`.includes('-not_before') ? dates : ['-days', '-1']
  const unknown = issue('unknown', 'stranger', name, '-days', '9')
  return {
    ca: read('ca.pem'),
    good: issue('good', 'ca', name, '-days', '9'),
    expired: issue('expired', 'ca', name, ...past),
    other: issue('other', 'ca', 'other.example', '-days', '9'),
    client: issue('client', 'ca', name, '-days', '9'),
    unknown,
    rooted: { ...unknown, cert: unknown.cert + read('stranger.pem') },
  }
}

await t.test('every culprit was met, and docs/callbacks.md has them all', async t => {
  const section = PAGE.slice(PAGE.indexOf('## When they do not arrive'))
  const told = [...section.matchAll(/^\| `([a-z0-9_]+)` \| /gm)].map(([, name = '']) => name)
  t.strictSame(told.toSorted(), Object.keys(CULPRITS).toSorted())
  const unmet = Object.keys(CULPRITS).filter(name => !recognised.has(name))
  t.strictSame(unmet, [])
})
