/**
 * The load and the account of these tests, for a cluster that runs: behind its proxy, until SIGINT. It is no test of the
 * suite but a program, `node dist/test/fault/load.js wss://HOST/v1/ws https://HOST SITE SITEFILE`, whose exit code is 0 if
 * every event reached every client exactly once. Its site must be one that nobody else publishes for.
 */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { Site } from '../support/relay.ts'
import { Scene } from '../support/scene.ts'

const [ws = '', api = '', id = '', file = ''] = process.argv.slice(2)
const sites = JSON.parse(readFileSync(file, 'utf8')) as Record<string, { keys: { k: string }[] }>
const site = new Site(id, Buffer.from(sites[id]!.keys[0]!.k, 'base64url'))

t.setTimeout(300_000)
// Not once: with no listener left, tap takes the signal for its own end.
const ended = new Promise(resolve => {
  process.on('SIGINT', resolve)
})
await t.test(`every event that is published at ${api} reaches every client once`, async t => {
  t.setTimeout(0)
  const scene = await Scene.open(t, { buses: [], proxy: { ws, api }, site })
  scene.load()
  console.error('the load begins')
  await ended
  const { dropped } = await scene.close('until SIGINT')
  t.equal(dropped, 0, 'everyone left when asked to')
})
