/** The pages under docs/ against what really runs, in both directions where there are two. */
import { spawn, spawnSync } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { type Signer, signatureHeaders } from '../src/callbacks/sign.ts'
import { CLOSE_CODES, CODES } from '../src/protocol/codes.ts'
import { readSites } from '../src/trust/site-file.ts'
import { openFolder } from './commands/throughline.ts'
import { Client, type Frame } from './support/client.ts'
import { freePort } from './support/ports.ts'
import { startRedis } from './support/redis.ts'
import { call, Site, startRelay } from './support/relay.ts'
import { until } from './support/until.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const PAGES = new Map(
  filesIn('docs')
    .filter(path => path.endsWith('.md'))
    .map(path => [relative('docs', path), readFileSync(join(ROOT, path), 'utf8')]),
)

function filesIn(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map(name => join(folder, name))
}

function page(name: string): string {
  const text = PAGES.get(name)
  if (text === undefined) throw new Error(`there is no docs/${name}`)
  return text
}

const ANSWERS = Object.entries<{ readonly http: number; readonly close?: number }>(CODES)

interface Block {
  readonly text: string
  /** The file that the sentence before it names, such as `publish.php`. */
  readonly file: string | undefined
  /** The ```json block that follows with nothing between. */
  readonly answer: string | undefined
}

/** Returns the fenced blocks of a language. */
function blocks(text: string, ...languages: string[]): Block[] {
  const fences = [...text.matchAll(/(^.*\n)?\n?^```([a-z]+)\n([\s\S]*?)^```\n(?:\n```json\n([\s\S]*?)^```)?/gm)]
  return fences
    .filter(([, , language = '']) => languages.includes(language))
    .map(([, before = '', , text = '', answer]) => ({ text, file: /`([a-z-]+\.[a-z]+)`/.exec(before)?.[1], answer }))
}

function jsonBlocks(text: string): string[] {
  return [...text.matchAll(/^```json\n([\s\S]*?)^```/gm)].map(([, json = '']) => json)
}

/** Returns the headings of one level under a heading of the level above. */
function headings(text: string, under: string): string[] {
  return [...section(text, under).matchAll(/^### (.+)$/gm)].map(([, heading = '']) => heading)
}

function section(text: string, heading: string): string {
  return text.split(/^## /m).find(part => part.startsWith(`${heading}\n`)) ?? ''
}

await t.test('errors.md has every code with its HTTP status and close code, and no other', async t => {
  const rows = [...page('errors.md').matchAll(/^\| `([a-z_]+)` \| (\d+) \| (\d+|–) \| (?:ws|http|both) \| \S/gm)]
  const told = rows.map(([, code, http, close]) => `${code} ${http} ${close}`)
  const expected = ANSWERS.map(([code, { http, close }]) => `${code} ${http} ${close ?? '–'}`)
  t.strictSame(told.toSorted(), expected.toSorted())
})

await t.test('errors.md has every close code of ours, and no other', async t => {
  const rows = [...page('errors.md').matchAll(/^\| (4\d{3}) \|/gm)].map(([, code = '']) => code)
  const used = [...CLOSE_CODES, ...ANSWERS.flatMap(([, { close }]) => close ?? [])]
  t.strictSame(rows, [...new Set(used.map(String))].toSorted())
})

const acme = new Site('acme')
const server = acme.server()

await t.test('frames and metrics of a real run, through an outage and a drain', async t => {
  const redis = await startRedis(t)
  // A callback that fails is one that is counted.
  const callback = { url: 'https://callback.invalid/', events: ['user.online'] }
  const relay = await startRelay(t, acme.entry({ callback }), {
    THROUGHLINE_BUS: redis.url,
    THROUGHLINE_DRAIN_SECONDS: '2',
  })
  const ask = async (path: string): Promise<string> => (await fetch(relay.admin + path)).text()
  const token = acme.user('7', { 42: ['read'], 43: ['send'], 44: ['read'] })
  // As many as there are seconds in a heartbeat: each is pinged in another one, so the first ping is not far.
  const clients = await Promise.all(Array.from({ length: 25 }, () => Client.connect(t, relay, token)))
  const client = clients[0]!
  const first = await client.subscribe('42', '43', '99')
  const { message } = await client.ask('fly')
  const ops = /known are ([a-z, ]+)/.exec(message as string)![1]!.split(', ')

  const except = client.frames[0]!['connection'] as string
  const event = { type: 'm', data: 1 }
  await call(relay, server, '/v1/publish', { ...event, to: { thread: '42' } })
  await call(relay, server, '/v1/publish', { ...event, to: { thread: '42' }, except })
  await call(relay, server, '/v1/publish', { ...event, to: { thread: '42' }, ephemeral: true })
  await call(relay, server, '/v1/publish', { ...event, to: { users: ['7'] }, thread: '42' })
  await until(() => client.events().length === 4, { what: 'the events' })
  await call(relay, 'x', '/v1/publish', {})
  await client.ask('refresh', { token })
  const info = { name: 'Ada' }
  const friendly = acme.user('7', { 42: ['read'], 44: ['read', 'send', 'presence'] }, { info, watch: ['8'] })
  const friend = await Client.connect(t, relay, friendly)
  const members = [friend, await Client.connect(t, relay, friendly)]
  for (const member of members) {
    await member.ask('subscribe', { threads: ['44'], presence: true })
    await member.subscribe('42')
  }
  clients.push(...members)
  await friend.ask('send', { thread: '44', type: 'typing', data: 1 })
  await friend.ask('presence', { thread: '44' })
  await friend.ask('watch', { users: ['8'] })
  await friend.ask('watch', { users: ['8', '9'] })
  const eight = await Client.connect(t, relay, acme.user('8'))
  clients.push(eight)
  await friend.expect(({ op, users }) => op === 'online' && users['8'] === true, 'online')
  await friend.ask('unwatch', { users: ['8'] })
  await call(relay, server, '/v1/publish', { ...event, to: { thread: '42' }, id: '1003', receipt_to: '8' })
  const { receipt } = await friend.expect(({ id }) => id === '1003', 'the event')
  friend.send({ op: 'receipt', receipts: [receipt] })
  await eight.expect(({ type }) => type === 'delivered', 'delivered')
  await call(relay, server, '/v1/threads/45/members', { add: { 7: ['read'] } })
  await client.expect(({ op }) => op === 'members', 'members')
  await client.ask('unsubscribe', { threads: ['42'] })
  await client.ask('subscribe', { threads: ['44', '42'], since: { 'thread:44': 1 } })
  await redis.kill()
  await client.expect(frame => frame['bus'] === 'down', 'status down')
  await redis.restart()
  await client.expect(frame => frame['bus'] === 'up', 'status up')
  await until(() => clients.some(({ frames }) => frames.some(({ op }) => op === 'ping')), { what: 'a ping' })

  await t.test('protocol.md sends only frames that the relay accepts', async t => {
    const sent = jsonBlocks(section(page('protocol.md'), 'Client to relay')).map(text => JSON.parse(text) as Frame)
    t.strictSame(sent.map(({ op }) => op).toSorted(), ops.toSorted(), 'one of each op')
    const asker = await Client.open(t, relay)
    for (const example of sent) {
      asker.send('token' in example ? { ...example, token: friendly } : example)
      if (example['id'] === undefined) continue
      const answer = await asker.expect(({ id }) => id === example['id'], 'an answer')
      t.not(answer.op, 'error', JSON.stringify(answer))
    }
    asker.socket.close(1000)
    await asker.expectClose()
  })

  await until(async () => (await ask('/metrics/sites')).includes('outcome="retry"} 1'), { what: 'a callback to fail' })
  const exposition = (await ask('/metrics')) + (await ask('/metrics/sites'))
  relay.kill('SIGTERM')
  await client.expect(({ op }) => op === 'drain', 'drain')
  const frames = clients.flatMap(({ frames }) => frames)

  await t.test(
    'protocol.md has a heading for every op of clients and every frame of the relay, and no other',
    async t => {
      t.strictSame(headings(page('protocol.md'), 'Client to relay').toSorted(), ops.toSorted())
      const sources = filesIn('src').filter(path => path.endsWith('.ts'))
      const source = sources.map(path => readFileSync(join(ROOT, path), 'utf8')).join('\n')
      const written = [...source.matchAll(/(?:\bop: '|"op":")([a-z]+)/g)]
      const relayFrames = headings(page('protocol.md'), 'Relay to client').toSorted()
      t.strictSame(relayFrames, [...new Set(written.map(([, op = '']) => op))].toSorted(), 'as the source has them')
      t.strictSame(relayFrames, [...new Set(frames.map(({ op }) => op))].toSorted(), 'as they were seen')
    },
  )

  await t.test('the example frames of protocol.md have the form of real ones', async t => {
    const seen = new Set(frames.map(form))
    const examples = jsonBlocks(section(page('protocol.md'), 'Relay to client')).map(text => JSON.parse(text) as Frame)
    for (const example of examples) {
      t.ok(seen.has(form(example)), `${form(example)} is among\n${[...seen].join('\n')}`)
    }
    t.strictSame(
      first['refused']['99'],
      JSON.parse(jsonBlocks(page('protocol.md')).find(text => text.includes('"refused"'))!).refused['99'],
    )
  })

  await t.test('metrics.md has every throughline_ metric with its type and labels, and no other', async t => {
    const rows = [...page('metrics.md').matchAll(/^\| `(throughline_\w+)` \| (\w+) \| ([^|]*)\|/gm)]
    const told = rows.map(([, name, type, labels = '']) => `${name} ${type} ${(labels.match(/\w+/g) ?? []).join()}`)
    const types = [...exposition.matchAll(/^# TYPE (throughline_\w+) (\w+)$/gm)]
    const found = types.map(([, name = '', type]) => `${name} ${type} ${labelsOf(exposition, name)}`)
    t.strictSame(told.toSorted(), found.toSorted())
  })
})

/** Returns the keys of a frame and of an entry of its chains, in their order. */
function form(frame: Frame): string {
  const { chains } = frame as { chains?: Record<string, unknown> }
  const [entry] = Object.values(chains ?? {})
  const inside = typeof entry === 'object' ? ` of {${Object.keys(entry as object).join()}}` : ''
  return `${frame.op}: ${Object.keys(frame).join()}${inside}`
}

function labelsOf(exposition: string, metric: string): string {
  const [, labels = ''] = new RegExp(`^${metric}\\{([^}]*)\\}`, 'm').exec(exposition) ?? []
  return [...labels.matchAll(/(\w+)="/g)].map(([, label]) => label).join()
}

await t.test('the examples work when copied', async t => {
  if (spawnSync('php', ['-r', 'exit(extension_loaded("curl") ? 0 : 1);']).status !== 0) {
    throw new Error('php with its curl extension is not here: apt-get install php-cli php-curl')
  }
  const urls = ['stun:turn.example.com:3478', 'turn:turn.example.com:3478?transport=udp']
  const relay = await startRelay(
    t,
    acme.entry({ callback: { url: 'https://callback.example/', events: ['event.delivered'] } }),
    {
      THROUGHLINE_ICE: JSON.stringify({ urls, secret: 'of-no-server-at-all' }),
    },
  )
  const folder = await openFolder(t)
  writeFileSync(folder.file('sites.json'), JSON.stringify(acme.entry()))
  const adapt = (text: string): string =>
    text
      .replaceAll('npx throughline', 'throughline')
      .replaceAll('http://127.0.0.1:8081', relay.api)
      .replaceAll('http://127.0.0.1:9090', relay.admin)
  const run = async (script: string): Promise<string> => {
    // tap's loader is not for the children of an example.
    const { code, stdout, stderr } = await folder.shell(`unset NODE_OPTIONS\n${adapt(script)}`)
    if (code !== 0) throw new Error(`${script}\nended with ${code}: ${stderr}${stdout}`)
    return stdout
  }
  const save = (t: Test, name: string): Block[] => {
    const files = blocks(page(name), 'php', 'js')
    for (const { file, text } of files) {
      t.type(file, 'string', `a file is named for\n${text.slice(0, 60)}`)
      writeFileSync(folder.file(file!), adapt(text))
    }
    return files
  }

  await t.test('http-api.md: curl and PHP publish, the events arrive, and the answers are as printed', async t => {
    const client = await Client.connect(t, relay, acme.user('7', { 42: ['read'] }))
    await client.subscribe('42')
    t.equal(save(t, 'http-api.md').length, 1)
    const [getToken, ...scripts] = blocks(page('http-api.md'), 'sh')
    for (const { text, answer } of scripts) {
      const printed = await run(`${getToken!.text}\n${text}`)
      if (answer !== undefined) t.strictSame(normal(printed), normal(answer), text)
      else t.match(JSON.parse(printed), text.includes('openapi') ? { openapi: '3.1.0' } : {}, text)
    }
    const ids = ['1001', '1002', '1003', '1005', '1006']
    await until(() => client.events().length === ids.length + 1, { what: 'the events' })
    const events = client.events()
    t.strictSame(
      events.filter(({ chain }) => chain !== undefined).map(({ id }) => id),
      ids,
    )
    t.equal(events.find(({ chain }) => chain === undefined)?.['type'], 'typing')
    t.strictSame(events.at(-1)?.['data'], { text: 'hello from PHP', tags: {} })
  })

  await t.test('http-api.md: the example of a problem is what the relay answers', async t => {
    const { body } = await call(relay, server, '/v1/publish', { to: { thread: '42' }, type: 'message' })
    t.ok(jsonBlocks(page('http-api.md')).some(text => JSON.stringify(JSON.parse(text)) === JSON.stringify(body)))
  })

  await t.test('tokens.md: what PHP and Node sign is accepted', async t => {
    const files = save(t, 'tokens.md').map(({ file }) => file!)
    t.strictSame(files, ['user-token.php', 'user-token.mjs', 'server-token.php', 'server-token.mjs'])
    for (const file of files) {
      const token = await run(`${file.endsWith('.php') ? 'php' : `'${process.execPath}'`} ${file}`)
      if (file.startsWith('server')) {
        const { status } = await call(relay, token, '/v1/publish', { to: { site: true }, type: 'm', data: 1 })
        t.equal(status, 200, file)
        continue
      }
      const client = await Client.connect(t, relay, token)
      t.match(client.frames[0], { op: 'connected', user: '7', site: 'acme' }, file)
      t.strictSame(Object.keys((await client.subscribe('42', '43'))['chains']), ['thread:42', 'thread:43'], file)
    }
  })

  await t.test('callbacks.md: PHP and Node take what is signed with either kind of key, and nothing else', async t => {
    t.strictSame(
      save(t, 'callbacks.md').map(({ file }) => file!),
      ['callback.php', 'callback.mjs'],
    )
    const { privateKey: key, publicKey } = generateKeyPairSync('ed25519')
    const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url').toString('base64')
    const secret = `whsec_${randomBytes(24).toString('base64')}`
    const body = JSON.stringify({ site: 'acme', events: [{ id: '1', type: 'ping', data: { challenge: 'c-1' } }] })
    const now = Math.floor(Date.now() / 1000)
    for (const command of ['php', process.execPath]) {
      const port = await freePort()
      const args = command === 'php' ? ['-S', `127.0.0.1:${port}`, 'callback.php'] : ['callback.mjs']
      const { NODE_OPTIONS: _, ...environment } = process.env
      const child = spawn(command, args, {
        cwd: dirname(folder.file('callback.php')),
        env: { ...environment, PORT: String(port), CALLBACK_KEYS: `${secret} whpk_${raw}` },
        stdio: 'ignore',
      })
      t.teardown(() => child.kill('SIGKILL'))
      const post = (time: number, signer: Signer, sent = body): Promise<Response> =>
        fetch(`http://127.0.0.1:${port}/`, {
          method: 'POST',
          body: sent,
          headers: signatureHeaders(signer, 'msg_1', time, body),
        })
      const other = generateKeyPairSync('ed25519').privateKey
      await until(() => post(now, { secrets: [], key }).catch(() => undefined), { what: `${command} to listen` })
      for (const signer of [
        { secrets: [secret], key: other },
        { secrets: [], key },
      ]) {
        const answer = await post(now, signer)
        t.equal(answer.status, 200)
        t.strictSame(await answer.json(), { challenge: 'c-1' })
        t.equal((await post(now, signer, `${body} `)).status, 401, 'another body')
        t.equal((await post(now - 400, signer)).status, 401, 'an old one')
      }
      t.equal((await post(now, { secrets: [], key: other })).status, 401, 'another key')
    }
  })

  await t.test('tokens.md: the example of a site file is one', async t => {
    const sites = await readSites(Buffer.from(jsonBlocks(page('tokens.md'))[0]!))
    t.strictSame([...sites.keys()], ['acme'])
  })

  await t.test('http-api.md has a heading for every route of openapi.json, and no other', async t => {
    const { paths } = (await (await fetch(`${relay.api}/v1/openapi.json`)).json()) as { paths: Record<string, object> }
    const routes = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map(method => `${method.toUpperCase()} ${path}`),
    )
    const told = [...page('http-api.md').matchAll(/^## ((?:GET|POST|PUT|PATCH|DELETE) \S+)$/gm)].map(
      ([, route = '']) => route,
    )
    // The description does not describe itself.
    t.strictSame(told.toSorted(), [...routes, 'GET /v1/openapi.json'].toSorted())
  })
})

/** Returns an answer without what differs from run to run: stamps, ids that the relay made, and credentials. */
function normal(json: string): unknown {
  return JSON.parse(
    json
      .replaceAll(/\b\d{16}\b/g, '0')
      .replaceAll(/"id":"[\w-]{12}\.[0-9a-z]{9}"/g, '"id":"made"')
      .replaceAll(/"username":"\d{10}:/g, '"username":"0:')
      .replaceAll(/"credential":"[A-Za-z0-9+/]{27}="/g, '"credential":"made"'),
  )
}

await t.test('every json block of every page parses', async t => {
  let count = 0
  for (const [name, text] of PAGES) {
    for (const block of jsonBlocks(text)) {
      count++
      t.doesNotThrow(() => JSON.parse(block), `${name}: ${block.slice(0, 60)}`)
    }
  }
  t.ok(count > 20)
})

await t.test('every relative link between pages leads somewhere, to the heading that it names', async t => {
  for (const [name, text] of PAGES) {
    const prose = text.replaceAll(/^```[\s\S]*?^```/gm, '')
    for (const [, target = ''] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      const [path = '', anchor] = target.split('#')
      const file = path === '' ? join('docs', name) : join('docs', dirname(name), path)
      t.ok(existsSync(join(ROOT, file)), `${name}: ${target}`)
      const linked = PAGES.get(relative('docs', file))
      if (anchor !== undefined && linked !== undefined) t.ok(anchors(linked).includes(anchor), `${name}: ${target}`)
    }
  }
})

/** Returns the anchors of a page's headings, as GitHub makes them. */
function anchors(text: string): string[] {
  const seen = new Map<string, number>()
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => {
    const anchor = heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-')
    const times = seen.get(anchor) ?? 0
    seen.set(anchor, times + 1)
    return times === 0 ? anchor : `${anchor}-${times}`
  })
}
