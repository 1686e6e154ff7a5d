/** deploy/compose.yaml and what deploy/secrets.sh makes for it. There need be no engine: real programs take the files. */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startCoturn } from '../support/coturn.ts'
import { freePort } from '../support/ports.ts'
import { RedisServer } from '../support/redis.ts'
import { Client } from '../support/client.ts'
import { TurnClient } from '../support/stun.ts'
import { CLI, Site, startRelay } from '../support/relay.ts'

t.setTimeout(300_000)
const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const compose = read('deploy/compose.yaml')
const HOST = 'relay.example.com'

function read(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

const folder = t.testdir({})
cpSync(join(ROOT, 'deploy'), join(folder, 'deploy'), {
  recursive: true,
  filter: path => !/\/deploy\/(secrets|\.env)$/.test(path),
})
const made = (path: string): string => join(folder, 'deploy', path)
const makeSecrets = (...args: string[]): { status: number | null; stderr: string } =>
  spawnSync('bash', [made('secrets.sh'), ...args], { encoding: 'utf8' })

await t.test(
  'secrets.sh makes what compose.yaml names, closed to others, and changes nothing the second time',
  async t => {
    t.match(makeSecrets(), { status: 64, stderr: /usage/ })
    t.match(makeSecrets('a b'), { status: 64, stderr: /usage/ })
    t.match(makeSecrets(HOST), { status: 0 })
    const files = [...compose.matchAll(/file: \.\/(secrets\/\S+)/g)].map(([, file = '']) => file)
    t.equal(files.length, 5)
    const before = files.map(file => readFileSync(made(file), 'utf8'))
    t.equal(statSync(made('secrets')).mode & 0o777, 0o700)
    t.match(makeSecrets('other.example.com'), { status: 0 })
    t.strictSame(
      files.map(file => readFileSync(made(file), 'utf8')),
      before,
    )
    t.equal(readFileSync(made('.env'), 'utf8'), `RELAY_HOST=${HOST}\n`)
    const ignored = execFileSync('git', ['check-ignore', 'deploy/.env', 'deploy/secrets/x'], {
      cwd: ROOT,
      encoding: 'utf8',
    })
    t.equal(ignored.trim().split('\n').length, 2, 'git leaves them out')
  },
)

await t.test('every file that it mounts is there', async t => {
  const mounts = [...compose.matchAll(/- \.\/(\S+?):\//g)].map(([, path = '']) => path)
  t.ok(mounts.length >= 7)
  for (const path of mounts) t.ok(existsSync(made(path)), path)
})

const docker = spawnSync('docker-compose', ['--version'], { encoding: 'utf8' })
const skip = docker.error !== undefined && 'docker-compose is not here: apt-get install docker-compose'
await t.test('docker-compose takes it, and each service is guarded', { skip }, async t => {
  // Debian 12's does not know the first line.
  const file = made('compose-1.yaml')
  writeFileSync(file, compose.replace(/^name: .*$/m, ''))
  const { status, stdout, stderr } = spawnSync('docker-compose', ['--file', file, 'config'], {
    cwd: made('.'),
    encoding: 'utf8',
  })
  t.equal(status, 0, stderr)
  const all = stdout.slice(stdout.search(/^services:/m)).split(/^(?=\S)/m)[0]!
  const services = new Map(
    [...all.matchAll(/^ {2}(\w+):\n((?: {3,}.*\n)+)/gm)].map(([, name = '', text = '']) => [name, text]),
  )
  t.strictSame([...services.keys()].toSorted(), ['coturn', 'grafana', 'node1', 'node2', 'prometheus', 'proxy', 'redis'])
  for (const [name, text] of services) {
    for (const line of [
      /read_only: true\n/,
      /cap_drop:\s+- ALL\n/,
      /no-new-privileges/,
      /healthcheck:\n/,
      /restart: unless-stopped/,
    ]) {
      t.match(text, line, name)
    }
    t.notMatch(text, /privileged: true|docker\.sock|:latest/, name)
  }
  const node = services.get('node1')!
  t.equal(node, services.get('node2'))
  const seconds = (pattern: RegExp): number => Number(pattern.exec(node)![1])
  t.ok(seconds(/stop_grace_period: (?:0m)?(\d+)s/) > seconds(/THROUGHLINE_DRAIN_SECONDS: '?"?(\d+)/) + 10)
  t.ok(seconds(/soft: (\d+)/) >= 100_000)
  t.notMatch(node, /password|redis:\/\//, 'no secret in the environment')
  t.match(node, `THROUGHLINE_TRUST_PROXY: ${/ipv4_address: (\S+)/.exec(services.get('proxy')!)![1]}/32`)
})

await t.test('the real programs start with what was made: Redis, a node and coturn', async t => {
  const port = await freePort()
  const data = join(folder, 'data')
  mkdirSync(data)
  const conf = readFileSync(made('redis/redis.conf'), 'utf8')
    .replace('bind * -::*', 'bind 127.0.0.1')
    .replace('/run/secrets/redis_password', made('secrets/redis_password'))
    .replace('dir /data', `dir ${data}`)
  writeFileSync(made('redis-here.conf'), conf)
  const [, password = ''] = /^requirepass (\S+)$/m.exec(readFileSync(made('secrets/redis_password'), 'utf8'))!
  process.env['REDISCLI_AUTH'] = password
  const redis = await RedisServer.start(t, async () => [made('redis-here.conf')], port)
  t.match(await redis.cli('CONFIG', 'GET', 'maxmemory-policy'), 'noeviction')
  t.match(await redis.cli('CONFIG', 'GET', 'appendonly'), 'yes')
  t.match(await redis.cli('CONFIG', 'GET', 'client-output-buffer-limit'), 'pubsub 268435456 67108864 60')

  // As the first site is added.
  const site = ['site', 'add', 'acme', '--origin', 'https://example.com', '--sites', made('secrets/sites/sites.json')]
  execFileSync(process.execPath, [CLI, ...site], { stdio: 'pipe' })
  t.equal(statSync(made('secrets/sites/sites.json')).mode & 0o777, 0o644, "readable by the container's user")

  const [, bus = ''] = /^THROUGHLINE_BUS=(.*)$/m.exec(readFileSync(made('secrets/node.env'), 'utf8'))!
  const acme = new Site('acme')
  const relay = await startRelay(t, acme.entry(), {
    THROUGHLINE_BUS: bus.replace('redis:6379', `127.0.0.1:${port}`),
    THROUGHLINE_ICE: made('secrets/ice.json'),
  })
  await Client.connect(t, relay, acme.user('7'))
  const answer = await fetch(relay.ws.replace('ws:', 'http:').replace('/ws', '/ice'), {
    headers: { authorization: `Bearer ${acme.user('7')}` },
  })
  const { iceServers } = (await answer.json()) as {
    iceServers: { urls: string[]; username: string; credential: string }[]
  }
  const { urls, username, credential } = iceServers.at(-1)!
  t.strictSame(urls, [`turn:${HOST}:3478?transport=udp`, `turn:${HOST}:3478?transport=tcp`])
  const coturn = await startCoturn(t, readFileSync(made('secrets/turnserver.conf'), 'utf8'))
  t.equal(await (await TurnClient.open(t, coturn.port, { username, credential })).allocate(), 0)
  const health = /CMD, turnutils_stunclient, (\S+)\]/.exec(compose)![1]!
  t.equal(spawnSync('turnutils_stunclient', ['-p', String(coturn.port), health], { timeout: 5000 }).status, 0)
})

await t.test("coturn's file is that of docs/turn.md", async t => {
  const [, block = ''] = /^```conf\n([^]*?)^```/m.exec(read('docs/turn.md'))!
  t.equal(read('deploy/coturn/turnserver.conf').replace(/^#.*\n/, ''), block)
})
