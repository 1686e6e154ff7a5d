/** Runs before the tests: says in one line how to get the programs that they need and this machine lacks. */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Programs, each under one of several names, and the Debian package that has it. */
const NEEDS: readonly { names: readonly string[]; variable?: string; debian: string }[] = [
  { names: ['redis-server'], variable: 'REDIS_SERVER', debian: 'redis-server' },
  { names: ['redis-cli'], variable: 'REDIS_CLI', debian: 'redis-tools' },
  { names: ['chromium', 'chromium-browser', 'google-chrome'], variable: 'CHROMIUM', debian: 'chromium' },
  { names: ['promtool'], variable: 'PROMTOOL', debian: 'prometheus' },
  { names: ['php'], debian: 'php-cli php-curl' },
  { names: ['curl'], debian: 'curl' },
  { names: ['openssl'], debian: 'openssl' },
  { names: ['turnserver'], debian: 'coturn' },
  { names: ['nginx'], debian: 'nginx' },
  { names: ['caddy'], debian: 'caddy' },
  { names: ['haproxy'], debian: 'haproxy' },
]

const missing = NEEDS.filter(
  ({ names, variable }) => !(variable !== undefined && process.env[variable]) && !names.some(isInPath),
)
if (missing.length > 0) {
  const programs = missing.map(({ names }) => names[0]).join(', ')
  const packages = missing.map(({ debian }) => debian).join(' ')
  console.error(`The tests need ${programs}; on Debian or Ubuntu: sudo apt-get install -y ${packages}`)
  process.exitCode = 1
}

function isInPath(name: string): boolean {
  // Servers stand in /usr/sbin, which not everybody has in the path.
  return [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin'].some(folder => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
