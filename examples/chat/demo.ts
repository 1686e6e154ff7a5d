import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createOrigin } from './origin.ts'
import { Outbox } from './outbox.ts'
import { RelayProcess } from './relay-process.ts'
import { Store } from './store.ts'
import type { SecretKey } from './tokens.ts'

/**
 * The demo: a relay, an origin and a page on this machine, by one command, with nothing left behind.
 *
 *   npm run demo                  PORT=3000 is the page's port; PORT=0 takes free ports for everything
 *   npm run demo -- --verbose     shows the relay's log too
 */
const SITE = 'chat'
const PEOPLE = ['Alice', 'Bob']
const REQUEST_MS = 10_000

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
writeFileSync(siteFile, JSON.stringify({ [SITE]: { keys: [key], origins } }), { mode: 0o600 })

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

const api = `http://127.0.0.1:${relay.ports.api}`
outbox = new Outbox({ site: SITE, key, api, warn: line => say(line, '') })
const ws = `ws://127.0.0.1:${relay.ports.ws}`
server.on('request', createOrigin({ site: SITE, key, relay: ws, store: new Store(), outbox }))

say(
  '',
  'Throughline demo: a small chat for two people in two windows',
  '',
  ...PEOPLE.map(name => `${name.padEnd(8)} http://127.0.0.1:${port}/?as=${name}`),
  '',
  `The relay is ${ws} (process ${relay.pid}). To see that nothing is lost,`,
  `end it while you write, with: kill -9 ${relay.pid}`,
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
