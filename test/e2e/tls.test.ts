import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { connect, type ConnectionOptions } from 'node:tls'
import t from 'tap'
import { makePair, PairFiles } from '../support/certificate.ts'
import { Client, type Frame } from '../support/client.ts'
import { serve, Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'

const acme = new Site('acme')
const server = acme.server()
const first = makePair()
const files = new PairFiles(t, first)
const relay = await startRelay(t, acme.entry(), files.environment)
const wss = { ...relay, ws: relay.ws.replace('ws:', 'wss:') }

const warnings = (): string[] => relay.log.filter(line => line.includes('was not reloaded'))

/** Opens a client that trusts one certificate, and authenticates it. */
async function join(ca: string, token: string): Promise<Client> {
  const client = await Client.open(t, wss, { ca })
  await client.ask('connect', { token })
  return client
}

/** Publishes on a connection that trusts one certificate. */
async function publish(agent: Agent, body: object): Promise<{ status: number; body: any }> {
  const headers = { authorization: `Bearer ${server}`, 'content-type': 'application/json' }
  const url = `${relay.api.replace('http:', 'https:')}/v1/publish`
  const call = request(url, { agent, method: 'POST', headers }).end(JSON.stringify(body))
  const [response] = (await once(call, 'response')) as [NodeJS.ReadableStream & { statusCode: number }]
  let text = ''
  for await (const chunk of response) text += String(chunk)
  return { status: response.statusCode, body: JSON.parse(text) }
}

function trusting(ca: string): Agent {
  const agent = new Agent({ ca, keepAlive: true })
  t.teardown(() => agent.destroy())
  return agent
}

/** Returns what a handshake with a port ends in. It trusts nobody, and sends no server name, since it uses an address. */
function handshake(url: string, options: ConnectionOptions = {}): Promise<{ version: string; fingerprint: string }> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false, ...options })
    socket.once('error', reject)
    socket.once('secureConnect', () => {
      resolve({ version: socket.getProtocol()!, fingerprint: socket.getPeerCertificate().fingerprint256 })
      socket.destroy()
    })
  })
}

/** Waits until these ports have the certificate. In the instant of the change an attempt to connect may be refused. */
async function replacedBy(fingerprint: string, urls = [relay.ws, relay.api]): Promise<void> {
  for (const url of urls) {
    const seen = (): Promise<unknown> =>
      handshake(url).then(
        seen => seen.fingerprint === fingerprint,
        () => false,
      )
    await until(seen, { what: `the new certificate on ${url}` })
  }
}

/** Returns the first event whose `prev` is not the stamp before it. */
function broken(events: readonly Frame[], head: number): Frame | undefined {
  return events.find((event, i) => event['prev'] !== (i === 0 ? head : events[i - 1]!['stamp']))
}

await t.test('WebSockets and API speak TLS to a client that verifies; the admin port stays plain', async t => {
  const client = await join(first.cert, acme.user('1', { t1: ['read'] }))
  await client.subscribe('t1')
  const answer = await publish(trusting(first.cert), { to: { thread: 't1' }, type: 'm', data: 1 })
  t.equal(answer.status, 200)
  await until(() => client.events().length === 1, { what: 'the event' })
  t.equal((await fetch(`${relay.admin}/readyz`)).status, 200)
  await t.rejects(fetch(relay.api), 'a client that speaks plain HTTP is not answered')
  await t.rejects(fetch(relay.ws.replace('ws:', 'http:')))
})

await t.test('TLS 1.2 and 1.3 are spoken, and nothing older', async t => {
  for (const url of [relay.ws, relay.api]) {
    t.equal((await handshake(url, { maxVersion: 'TLSv1.2' })).version, 'TLSv1.2')
    t.equal((await handshake(url)).version, 'TLSv1.3')
    const old: ConnectionOptions = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }
    await t.rejects(handshake(url, old), { code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' })
  }
})

await t.test('a pair that does not fit or load keeps the old one, and the log says why', async t => {
  const other = makePair()
  const cases: [write: () => void, says: string][] = [
    [() => files.put({ key: other.key }), 'another one'],
    [() => files.put({ key: 'no key' }), 'expected a PEM private key without a passphrase'],
    [() => writeFileSync(files.cert, first.cert.slice(0, 200)), 'expected PEM certificates'],
  ]
  for (const [write, says] of cases) {
    const before = warnings().length
    write()
    await until(() => warnings().length > before, { what: 'a word about it' })
    t.match(warnings().at(-1), says)
    for (const url of [relay.ws, relay.api]) t.equal((await handshake(url)).fingerprint, first.fingerprint)
  }
  t.notMatch(relay.log.join('\n'), /BEGIN|no key/, 'the files are not quoted')
  files.put(first)
})

await t.test('new files are taken over without a word from anybody, and open connections go on, whole', async t => {
  const threads = { t2: ['read'], t3: ['read'] }
  const old = await join(first.cert, acme.user('2', threads))
  const { chains } = await old.subscribe('t2')
  const agent = trusting(first.cert)
  const stamps: number[] = []
  let count = 0
  // As an origin does: the same call again until it is answered.
  const say = async (agent: Agent, more: object = {}): Promise<void> => {
    const event = { to: { thread: 't2' }, type: 'm', data: 1, id: `${count++}`, ...more }
    const answer = await until(() => publish(agent, event).catch(() => undefined), { what: 'an answer' })
    stamps.push(answer.body.stamps['thread:t2'])
  }

  const next = makePair()
  let replaced = false
  const replacing = (async () => {
    files.put({ cert: next.cert })
    await say(agent)
    files.put({ key: next.key })
    await replacedBy(next.fingerprint)
    replaced = true
  })()
  while (!replaced) await say(agent)
  await replacing

  // One came by the first certificate, two by the second; publishers by both.
  const young = await join(next.cert, acme.user('3', threads))
  const third = await join(next.cert, acme.user('4', threads))
  const head = (await young.subscribe('t2'))['chains']['thread:t2'].head
  await third.subscribe('t2')
  const verifying = { ca: first.cert, rejectUnauthorized: true }
  await t.rejects(
    handshake(relay.ws, verifying),
    { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' },
    'the first one is not served',
  )
  const idOf = (client: Client): string => client.frames[0]!['connection']
  const nextAgent = trusting(next.cert)
  for (const publisher of [agent, nextAgent]) {
    await say(publisher, { except: idOf(old), id: `not-old-${count}` })
    await say(publisher, { except: idOf(young), id: `not-young-${count}` })
    await say(publisher)
  }
  const since = stamps.indexOf(head) + 1
  for (const [client, from, before] of [
    [old, 0, chains['thread:t2'].head],
    [young, since, head],
    [third, since, head],
  ] as const) {
    const expected = stamps.slice(from)
    await until(() => client.events().length >= expected.length, { what: 'all events' })
    const events = client.events()
    t.strictSame(
      events.map(event => event['stamp']),
      expected.toSorted((a, b) => a - b),
      'everything once, in order',
    )
    t.equal(broken(events, before), undefined, 'every prev is the stamp before it')
  }
  const own = (client: Client): string[] => client.events().flatMap(event => (event['own'] === true ? event['id'] : []))
  t.match(own(old), [/^not-old/, /^not-old/])
  t.match(own(young), [/^not-young/, /^not-young/])
  t.strictSame(own(third), [])

  await third.subscribe('t3')
  await publish(agent, { to: { thread: 't3' }, type: 'm', data: 'only the new' })
  await until(() => third.events().at(-1)?.['data'] === 'only the new', { what: 'an event of a new thread' })
  old.socket.close()
  await say(agent)
  await until(() => young.events().at(-1)?.['stamp'] === stamps.at(-1), { what: 'an event after the old one has left' })
})

await t.test('a certificate before the first client: the newest counts', async t => {
  const [one, two, three] = [makePair(), makePair(), makePair()]
  const files = new PairFiles(t, one)
  const relay = await startRelay(t, acme.entry(), files.environment)
  for (const pair of [two, three]) {
    files.put(pair)
    await replacedBy(pair.fingerprint, [relay.ws])
  }
  const client = await Client.open(t, { ...relay, ws: relay.ws.replace('ws:', 'wss:') }, { ca: three.cert })
  t.match(await client.ask('connect', { token: acme.user('1') }), { op: 'connected' })
  relay.kill('SIGTERM')
  await client.expect(({ op }) => op === 'drain', 'drain')
  client.socket.close()
  t.equal(await relay.exit, 0)
})

await t.test('files that cannot be used stop the start, with one line', async t => {
  const pair = makePair()
  const cases: [{ cert: string; key: string }, RegExp][] = [
    [{ cert: '/nowhere/cert.pem', key: files.key }, /^THROUGHLINE_TLS_CERT: expected a readable file, found none at /],
    [{ cert: files.cert, key: '/nowhere/key.pem' }, /^THROUGHLINE_TLS_KEY: expected a readable file, found none at /],
    [{ cert: files.key, key: files.key }, /^THROUGHLINE_TLS_CERT: expected PEM certificates/],
    [{ cert: files.cert, key: files.cert }, /^THROUGHLINE_TLS_KEY: expected a PEM private key/],
    [{ cert: new PairFiles(t, pair).cert, key: files.key }, /^THROUGHLINE_TLS_KEY: expected the private key of/],
  ]
  for (const [{ cert, key }, says] of cases) {
    const { exit, stderr } = await serve({
      THROUGHLINE_SITES: relay.sitesFile,
      THROUGHLINE_TLS_CERT: cert,
      THROUGHLINE_TLS_KEY: key,
    })
    t.equal(exit, 78, stderr)
    t.match(stderr, says)
    t.equal(stderr.trim().split('\n').length, 1, stderr)
  }
})
