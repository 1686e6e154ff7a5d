import { spawn, spawnSync } from 'node:child_process'
import { freePort } from './ports.ts'
import type { Teardown } from './relay.ts'
import { until } from './until.ts'

const PROMTOOL = process.env['PROMTOOL'] ?? 'promtool'
const MISSING = `${PROMTOOL} is not here: apt-get install prometheus, or name it in PROMTOOL`

/** Returns what promtool prints, and before it the exit code if that is not 0. */
export function promtool(input: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(PROMTOOL, args, { input, encoding: 'utf8' })
  if (error !== undefined) throw new Error(MISSING)
  return status === 0 ? `${stdout}${stderr}`.trim() : `exit code ${status}: ${stdout}${stderr}`
}

/** Asks a real Prometheus on loopback; throws with its words when it answers with an error. */
export type Ask = (path: string, parameters?: Record<string, string>) => Promise<any>

/** Starts Prometheus with a configuration file, and its numbers in `folder`; it ends with the test. */
export async function startPrometheus(t: Teardown, file: string, folder: string): Promise<Ask> {
  const listen = `127.0.0.1:${await freePort()}`
  const args = [`--config.file=${file}`, `--storage.tsdb.path=${folder}`, `--web.listen-address=${listen}`]
  const child = spawn('prometheus', args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (data: Buffer) => {
    said += data.toString()
  })
  const exit = new Promise(resolve => {
    child.once('exit', resolve)
  })
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exit
  })
  await until(() => said.includes('Server is ready'), { what: () => `a Prometheus; it said:\n${said}` })
  return async (path, parameters = {}) => {
    const response = await fetch(`http://${listen}/api/v1/${path}?${new URLSearchParams(parameters).toString()}`)
    const { status, error, data } = (await response.json()) as { status: string; error?: string; data: unknown }
    if (status !== 'success') throw new Error(`${parameters['query'] ?? path}: ${error}`)
    return data
  }
}
