/** deploy/systemd against systemd's own opinion and the relay's; there need be no systemd that runs. */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { loadConfig } from '../../src/config/load.ts'

const FOLDER = fileURLToPath(new URL('../../../deploy/systemd/', import.meta.url))
const unit = readFileSync(join(FOLDER, 'throughline.service'), 'utf8')
const seconds = (name: string): number => Number(new RegExp(`^${name}=(\\d+)s$`, 'm').exec(unit)![1])

const analyze = (...args: string[]): ReturnType<typeof spawnSync> =>
  spawnSync('systemd-analyze', args, { encoding: 'utf8', timeout: 20_000 })
const skip = analyze('--version').error !== undefined && 'systemd-analyze is not here: apt-get install systemd'

await t.test('systemd takes the unit, and finds it well hardened', { skip }, async t => {
  const file = join(t.testdir({}), 'throughline.service')
  writeFileSync(file, unit.replace('/usr/bin/node', process.execPath))
  const { status, stderr } = analyze('verify', '--man=no', file)
  t.strictSame([status, String(stderr)], [0, ''])
  const { status: exposed, stdout } = analyze('security', '--no-pager', '--offline=true', '--threshold=20', file)
  t.equal(exposed, 0, `at most 2.0 of 10: ${String(stdout).slice(-200)}`)
})

await t.test('it waits for the drain, opens files enough, and does not repeat a start that is refused', async t => {
  const { drainSeconds } = loadConfig({}, join(FOLDER, 'throughline.env'))
  t.ok(seconds('TimeoutStopSec') >= drainSeconds + 10)
  t.match(unit, /^KillMode=mixed$/m)
  t.match(unit, /^RestartPreventExitStatus=78$/m)
  t.ok(Number(/^LimitNOFILE=(\d+)$/m.exec(unit)![1]) >= 200_000)
})

await t.test('the environment file is one', async t => {
  const { sites, wsListen, adminListen, trustProxy } = loadConfig({}, join(FOLDER, 'throughline.env'))
  t.match(unit, '--config /etc/throughline/throughline.env')
  t.match(
    { sites, wsListen, adminListen, trustProxy: trustProxy.length },
    {
      sites: '/etc/throughline/sites.json',
      wsListen: { host: '127.0.0.1' },
      adminListen: { host: '127.0.0.1' },
      trustProxy: 1,
    },
  )
})
