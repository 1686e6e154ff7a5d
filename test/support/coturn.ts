import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { freePort } from './ports.ts'
import type { Teardown } from './relay.ts'
import { until } from './until.ts'

/** A real coturn on loopback, with a configuration file of the operator's; it ends with the test. */
export interface Coturn {
  readonly port: number
  /** What it has logged so far, one line each. */
  readonly log: readonly string[]
}

/** Starts Debian's turnserver with the lines of a turnserver.conf, which say nothing of addresses, ports and files. */
export async function startCoturn(t: Teardown, configuration: string): Promise<Coturn> {
  const folder = mkdtempSync(join(tmpdir(), 'throughline-coturn-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const port = await freePort()
  const ours = [
    'listening-ip=127.0.0.1',
    'relay-ip=127.0.0.1',
    `listening-port=${port}`,
    'no-tls',
    'no-dtls',
    'no-cli',
    'verbose',
    'log-file=stdout',
    `pidfile=${join(folder, 'pid')}`,
    `userdb=${join(folder, 'db')}`,
  ]
  const file = join(folder, 'turnserver.conf')
  writeFileSync(file, `${configuration}\n${ours.join('\n')}\n`)
  const child = spawn('turnserver', ['-c', file], { stdio: ['ignore', 'pipe', 'pipe'] })
  const exit = new Promise(resolve => {
    child.once('exit', resolve)
  })
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exit
  })
  const log: string[] = []
  for (const stream of [child.stdout, child.stderr]) createInterface(stream).on('line', line => log.push(line))
  await until(() => log.some(line => line.includes(`UDP listener opened on: 127.0.0.1:${port}`)), {
    what: () => `a coturn that listens; it said:\n${log.join('\n')}`,
  })
  return { port, log }
}
