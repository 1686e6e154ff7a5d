import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type Test, t } from 'tap'
import { freePort } from '../support/ports.ts'
import { Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'
import { FakeRelay } from './fake-relay.ts'

const PAGE = fileURLToPath(new URL('closing-page.js', import.meta.url))

/** Runs a page until it ends by itself; resolves with what it said. */
async function run(t: Test, ...args: string[]): Promise<string[]> {
  const child = spawn(process.execPath, [PAGE, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => child.kill('SIGKILL'))
  let said = ''
  child.stdout.on('data', (data: Buffer) => {
    said += data.toString()
  })
  const [code] = (await once(child, 'close')) as [number]
  t.equal(code, 0)
  return said.trim().split('\n')
}

await t.test('after close nothing is left that keeps a program running', async t => {
  const site = new Site('acme')
  const relay = await startRelay(t, site.entry())
  const token = site.user('7', { 1: ['read', 'presence'] }, { watch: true })
  t.same(await run(t, relay.ws, token, 'live'), ['catching-up', 'live', 'closed closed'])
})

await t.test('nor is there when it never came to a connection', async t => {
  const url = `ws://127.0.0.1:${await freePort()}`
  t.same(await run(t, url, 'a token', 'lost'), ['closed not_connected'])
})

await t.test('nor when the relay does not answer', async t => {
  const fake = await FakeRelay.open(t)
  fake.onframe = () => true
  const ends = run(t, fake.url, 'a token', 'lost')
  await until(() => fake.opened.length === 1, { what: 'the page' })
  t.same(await ends, ['closed not_connected'])
})
