import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Log } from './log.ts'
import { createOrigin } from './origin.ts'
import { Outbox } from './outbox.ts'
import { People, PEOPLE, EVERYBODY } from './people.ts'
import { RelayApi } from './relay-api.ts'
import { RelayProcess } from './relay-process.ts'
import type { SecretKey } from './tokens.ts'

/**
 * The demo: a relay, an origin and a page on this machine, by one command, with nothing left behind.
 *
 *   npm run demo                  PORT=3000 is the page's port; PORT=0 takes free ports for everything
 *   npm run demo -- --verbose     shows the relay's log too
 *
 * THROUGHLINE_ICE (docs/turn.md) is handed on to the relay: STUN and TURN servers for calls beyond this machine.
 */
const SITE = 'chat'
const REQUEST_MS = 10_000
const WELCOME = [
  'Welcome! This message came with the page, from the origin’s store. What you write goes there first, and to the others through the relay.',
  'Cut the connection and go on writing: the pages ask the origin until the relay is back, and nothing is lost.',
]

const verbose = process.argv.includes('--verbose')
const firstPort = portOf(process.env['PORT'])
const say = (...lines: string[]): void => console.log(lines.map(line => line && `  ${line}`).join('\n'))

// The origin's port comes first, since the relay must be told which web origin may connect.
const server = await listen(firstPort)
const { port } = server.address() as AddressInfo

const folder = mkdtempSync(join(tmpdir(), 'throughline-demo-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void end())
const siteFile = join(folder, 'sites.json')
const key: SecretKey = { kty: 'oct', alg: 'HS256', kid: 'demo', k: randomBytes(32).toString('base64url') }
const origins = [`http://127.0.0.1:${port}`, `http://localhost:${port}`]
const secret = `whsec_${randomBytes(32).toString('base64')}`
const callback = { url: `http://127.0.0.1:${port}/callback`, events: ['event.delivered'], secret }
writeFileSync(siteFile, JSON.stringify({ [SITE]: { keys: [key], origins, callback } }), { mode: 0o600 })

let outbox: Outbox | undefined
let relay: RelayProcess | undefined
relay = await RelayProcess.open({
  siteFile,
  ports: firstPort === 0 ? { ws: 0, api: 0, admin: 0 } : { ws: 8080, api: 8081, admin: 9090 },
  onLog: line => verbose && console.log(line),
  onEnd: how => say(`The relay ended (${how}). The demo starts it again in a moment.`, ''),
  onBack: () => say(`The relay is back (process ${relay?.pid}).`, ''),
}).catch((error: Error) => {
  console.error(`The relay did not start:\n${error.message}`)
  process.exit(1)
})

const log = new Log()
for (const text of WELCOME) {
  log.save(EVERYBODY, { author: 'origin', text, key: randomBytes(16).toString('hex') })
}
const api = new RelayApi(SITE, key, `http://127.0.0.1:${relay.ports.api}`)
outbox = new Outbox(api, line => say(line, ''))
const ws = `ws://127.0.0.1:${relay.ports.ws}`
server.on(
  'request',
  createOrigin({
    site: SITE,
    key,
    secret,
    relay: ws,
    hasIce: process.env['THROUGHLINE_ICE'] !== undefined,
    people: new People(),
    log,
    api,
    outbox,
    cut: () => relay?.cut(),
  }),
)

say(
  '',
  'Throughline demo: a small messenger. Open two of these side by side; each window is a person.',
  '',
  ...PEOPLE.map(name => `${name.padEnd(8)} http://127.0.0.1:${port}/?as=${name}`),
  '',
  `Any other name is a guest. The relay is ${ws} (process ${relay.pid}). To see that nothing is lost,`,
  `cut the connection in the page while you write, or here: kill -9 ${relay.pid}`,
  '',
  verbose ? 'Ctrl-C ends the demo.' : 'Ctrl-C ends the demo. With --verbose it shows the relay’s log.',
  '',
)

async function end(): Promise<void> {
  outbox?.close()
  server.close()
  server.closeAllConnections()
  await relay?.close()
  process.exit(0)
}

function portOf(text = '3000'): number {
  const port = Number(text)
  if (Number.isInteger(port) && port >= 0 && port < 65_536) return port
  console.error(`PORT: a port number was expected, found ${JSON.stringify(text)}`)
  return process.exit(78)
}

/** Listens on `port`, or on the next one that is free. */
async function listen(port: number): Promise<Server> {
  const server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS })
  return new Promise((resolve, reject) => {
    server.once('listening', () => resolve(server))
    server.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' && port < 65_535) server.listen(++port, '127.0.0.1')
      else reject(error)
    })
    server.listen(port, '127.0.0.1')
  })
}
