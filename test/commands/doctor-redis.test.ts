import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { judgeLatency } from '../../src/commands/doctor/latency.ts'
import { judgeBuffer } from '../../src/commands/doctor/redis.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { freePort } from '../support/ports.ts'
import { RedisServer, startCluster, startRedis, startSentinel } from '../support/redis.ts'
import { Site } from '../support/relay.ts'
import { until } from '../support/until.ts'
import { examined, type Findings } from './examined.ts'
import { openFolder } from './throughline.ts'

t.setTimeout(300_000)
const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const PAGE = readFileSync(join(ROOT, 'docs/operate/doctor.md'), 'utf8')
const [, RIGHTS = ''] = /^user throughline on >PASSWORD (.*)$/m.exec(PAGE) ?? []
const [, CLUSTER_RIGHTS = ''] = /^A cluster needs `(.*)` beside these/m.exec(PAGE) ?? []
const CHECKS = ['redis', 'latency', 'bus', 'clocks']
const folder = await openFolder(t)
const sites = folder.file('sites.json')
writeFileSync(sites, JSON.stringify(new Site('acme').entry()), { mode: 0o600 })
const withBus = (bus: string, more: Record<string, string> = {}): Promise<Findings> =>
  examined({ THROUGHLINE_SITES: sites, THROUGHLINE_BUS: bus, ...more })

await t.test('nothing is wrong with a Redis as it comes, and nothing of ours stays in it', async t => {
  const redis = await startRedis(t)
  const found = await withBus(redis.url)
  t.strictSame(
    found.lines.filter(({ level, check }) => level !== 'ok' && CHECKS.includes(check)),
    [],
  )
  t.match(found.says('redis'), /is Redis \d+\.\d+\.\d+, master\n.*maxmemory-policy is noeviction/)
  t.match(found.says('bus'), /what is published comes back in [\d.]+ ms/)
  t.strictSame(await redis.entries(), [])
})

await t.test('a Redis that evicts, cuts subscribers off and logs content is told to be set otherwise', async t => {
  const redis = await startRedis(t, {
    maxmemory: '100mb',
    'maxmemory-policy': 'allkeys-lru',
    'client-output-buffer-limit': 'pubsub 1mb 1mb 10',
    'slowlog-log-slower-than': 0,
  })
  t.strictSame((await withBus(redis.url)).names('redis'), ['redis_evicts', 'redis_buffer_small', 'redis_slowlog'])
  await redis.cli('CONFIG', 'SET', 'maxmemory', 0)
  await redis.cli('CONFIG', 'SET', 'client-output-buffer-limit', 'pubsub 8mb 8mb 10')
  await redis.cli('CONFIG', 'SET', 'slowlog-log-slower-than', -1)
  t.strictSame((await withBus(redis.url)).names('redis'), ['redis_may_evict', 'redis_buffer_low'])
})

await t.test('of the limits on buffers only those count that can be reached by a burst', async t => {
  const judged = (limit: string): string | undefined => judgeBuffer('r', `normal 0 0 0 pubsub ${limit}`).finding
  t.equal(judged('0 0 0'), undefined, 'no limit')
  t.equal(judged('33554432 8388608 60'), undefined, "Redis' default: the soft limit has a minute")
  t.equal(judged('33554432 1048576 0'), 'redis_buffer_small', 'a soft limit without time is a hard one')
  t.equal(judged('16777216 0 0'), 'redis_buffer_low')
})

await t.test('round trips are judged by their median and their worst', async t => {
  const times = (slow: number, count: number): number[] => Array.from({ length: 50 }, (_, i) => (i < count ? slow : 1))
  t.equal(judgeLatency('r', times(1, 0)).finding, undefined)
  t.equal(judgeLatency('r', times(6, 30)).finding, 'redis_slow')
  t.equal(judgeLatency('r', times(51, 1)).finding, 'redis_slow')
  t.equal(judgeLatency('r', times(51, 1)).says, 'r: a round trip takes 1.00 ms (p50), 51.00 ms (p99)')
})

await t.test(
  'a Redis that is away, deaf, or wants another login is told from each other, without the password',
  async t => {
    const away = await withBus(`redis://127.0.0.1:${await freePort()}`)
    t.strictSame(away.names('redis'), ['redis_unreachable'])
    t.match(away.says('redis'), 'ECONNREFUSED')
    for (const check of CHECKS.slice(1)) {
      t.match(away.of(check), [{ level: 'skipped', says: 'skipped: Redis cannot be reached' }], check)
    }

    const redis = await startRedis(t)
    await redis.cli('CONFIG', 'SET', 'requirepass', 'right')
    for (const login of ['', ':wrong-secret@', 'somebody:wrong-secret@']) {
      const found = await withBus(redis.url.replace('//', `//${login}`))
      t.strictSame(found.names('redis'), ['redis_login'], login)
      t.notMatch(JSON.stringify(found.lines), 'wrong-secret')
    }
    t.strictSame((await withBus(redis.url.replace('//', '//:right@'))).names('redis'), [])

    redis.pause()
    t.strictSame((await withBus(redis.url)).names('redis'), ['redis_unreachable'])
    redis.resume()
  },
)

await t.test('a replica is not taken for its master', async t => {
  const master = await startRedis(t)
  const replica = await startRedis(t, { replicaof: `127.0.0.1 ${master.port}` })
  const found = await withBus(replica.url)
  t.ok(found.names('redis').includes('redis_replica'))
  t.match(found.says('redis'), /is Redis [\d.]+, slave/)
  t.match(found.says('bus'), 'READONLY')
})

await t.test('a user without a right is told which, and the rights on the page are enough', async t => {
  const redis = await startRedis(t)
  await redis.cli('ACL', 'SETUSER', 'relay', 'on', '>p', ...RIGHTS.split(' '))
  const url = redis.url.replace('//', '//relay:p@')
  const whole = await withBus(url)
  t.strictSame(whole.names('bus'), [])
  t.strictSame(whole.names('redis'), [])
  t.match(whole.says('redis'), 'skipped: ', 'what only CONFIG tells')

  await redis.cli('ACL', 'SETUSER', 'relay', '-zadd', '-xtrim')
  const found = await withBus(url)
  t.strictSame(found.names('bus'), ['redis_rights'])
  t.match(found.says('bus'), /ZADD: .*; XTRIM: /)

  t.strictSame((await withBus(url, { THROUGHLINE_PREFIX: 'other' })).names('bus'), ['redis_rights'], 'other keys')
  await redis.cli('ACL', 'SETUSER', 'relay', '-info')
  t.strictSame((await withBus(url)).names('redis'), ['redis_rights'])
})

await t.test('every command of the scripts is tried', async t => {
  const commands = (text: string): string[] =>
    [...text.matchAll(/redis\.p?call\('([A-Z]+)'/g)].map(([, name = '']) => name)
  const scripts = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter(name =>
    name.endsWith('.lua'),
  )
  const used = scripts.flatMap(name => commands(readFileSync(join(ROOT, 'src', name), 'utf8')))
  const probe = readFileSync(join(ROOT, 'src/commands/doctor/probe.lua'), 'utf8')
  const tried = new Set([...probe.matchAll(/try\('([A-Z]+)'/g)].map(([, name]) => name))
  t.ok(used.length > 100)
  t.strictSame(
    used.filter(name => !tried.has(name)),
    [],
  )
})

await t.test('a clock that is off is told, by how much and in which direction', async t => {
  const redis = await startRedis(t)
  const off = async (ms: number): Promise<Findings> =>
    examined({ THROUGHLINE_SITES: sites, THROUGHLINE_BUS: redis.url }, {}, { now: () => systemClock.now() + ms })
  const ahead = await off(-3000)
  t.strictSame(ahead.names('clocks'), ['clock_redis'])
  t.match(ahead.says('clocks'), /is [23]\.\d{3} s ahead of this machine's/)
  t.match((await off(3000)).says('clocks'), /is [23]\.\d{3} s behind this machine's/)
  t.strictSame((await off(700)).names('clocks'), ['clock_redis_drifts'])
})

await t.test(
  'Sentinels are asked one by one: who is away, who knows no such master, whether they are enough',
  async t => {
    const { url, sentinel, master } = await startSentinel(t)
    const found = await withBus(url)
    t.strictSame(found.names('sentinels'), ['sentinel_quorum'], 'there is only one')
    t.strictSame(found.names('redis'), [])
    t.match(found.says('sentinels'), `names 127.0.0.1:${(await master()).port}`)

    const lost = await withBus(url.replace(/[^/]+$/, 'nobody'))
    t.strictSame(lost.names('sentinels'), ['sentinel_master'])
    t.match(lost.of('redis'), [{ level: 'skipped', says: 'skipped: no master is known' }])

    const other = `127.0.0.1:${await freePort()}`
    const partly = await withBus(url.replace('://', `://${other},`))
    t.match(partly.names('sentinels'), ['sentinel_unreachable', 'sentinel_quorum'])
    t.strictSame(partly.names('bus'), [], 'the other one is enough')

    await sentinel.kill()
    const gone = await withBus(url)
    t.strictSame(gone.names('redis'), ['redis_unreachable'])
  },
)

await t.test('Sentinels that name different masters are told of', async t => {
  const { url, sentinel } = await startSentinel(t)
  const other = await startRedis(t)
  const stray = await RedisServer.start(
    t,
    async dir => {
      const file = join(dir, 'sentinel.conf')
      writeFileSync(file, `bind 127.0.0.1\nsentinel monitor relay 127.0.0.1 ${other.port} 1\n`)
      return [file, '--sentinel']
    },
    await freePort(),
  )
  const found = await withBus(url.replace('://', `://127.0.0.1:${stray.port},`))
  t.ok(found.names('sentinels').includes('sentinel_disagrees'))
  t.match(found.says('sentinels'), `127.0.0.1:${other.port}`)
  t.not(sentinel.port, stray.port)
})

await t.test('a Redis that cannot save is told of before it refuses to be written to', async t => {
  const redis = await startRedis(t, { 'enable-protected-configs': 'yes' })
  await redis.cli('CONFIG', 'SET', 'dir', '/proc')
  await redis.cli('BGSAVE')
  await until(async () => (await redis.cli('INFO', 'persistence')).includes('rdb_last_bgsave_status:err'), {
    what: 'a snapshot that failed',
  })
  t.strictSame((await withBus(redis.url)).names('redis'), ['redis_saving_fails'])
})

await t.test('a cluster is whole, or lacks a slot, or a master', async t => {
  const { url, masters } = await startCluster(t)
  const whole = await withBus(url)
  t.strictSame(
    whole.lines.filter(({ level, check }) => level === 'fail' && check !== 'ports'),
    [],
  )
  t.match(whole.says('cluster'), '16384 of 16384 slots are served by 3 masters')
  t.equal(whole.says('redis').match(/is Redis/g)?.length, 3)

  const rights = `${RIGHTS} ${CLUSTER_RIGHTS}`.split(' ')
  await Promise.all(masters.map(master => master.cli('ACL', 'SETUSER', 'relay', 'on', '>p', ...rights)))
  const limited = await withBus(url.replace('://', '://relay:p@'))
  t.strictSame([limited.names('redis'), limited.names('cluster'), limited.names('bus')], [[], [], []])
  t.match(limited.says('bus'), 'comes back')

  await Promise.all(masters.map(master => master.cli('CLUSTER', 'DELSLOTS', 0)))
  const lacking = await withBus(url)
  t.strictSame(lacking.names('cluster'), ['cluster_slots'])
  t.match(lacking.says('cluster'), '16383 of 16384')
  await masters[0]!.cli('CLUSTER', 'ADDSLOTS', 0)

  await masters[2]!.kill()
  const crippled = await withBus(url)
  t.strictSame(crippled.names('redis'), ['redis_unreachable'])
  t.match(crippled.says('redis'), `127.0.0.1:${masters[2]!.port} cannot be reached`)
})
