/** What a client sends without waiting for answers, as browsers' clients do when a socket has opened. */
import t from 'tap'
import { frameOfText } from '../../bench/lib/receiver.ts'
import { call, Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'
import { openRaw, upgrade } from './raw.ts'

const acme = new Site('acme')
const relay = await startRelay(t, acme.entry())

function frames(...all: object[]): Buffer {
  return Buffer.concat(all.map(frame => frameOfText(JSON.stringify(frame))))
}

/** Opens a socket, and returns what it hears from then on, chunk by chunk. */
async function opened(t: Parameters<typeof openRaw>[0]): Promise<{ write: (bytes: Buffer) => void; chunks: string[] }> {
  const raw = await openRaw(t, relay)
  raw.write(upgrade())
  await until(() => raw.text().includes('\r\n\r\n'), { what: 'an upgrade' })
  const chunks: string[] = []
  raw.onData(text => void chunks.push(text))
  return { write: bytes => raw.write(bytes), chunks }
}

const joining = (user: string): Buffer =>
  frames(
    { op: 'connect', id: 1, token: acme.user(user, { 7: ['read'] }) },
    { op: 'subscribe', id: 2, threads: ['7'] },
    { op: 'unsubscribe', id: 3, threads: ['8'] },
  )

await t.test('all that came behind `connect` is answered in its order, in one write', async t => {
  // So that the thread is known.
  const first = await opened(t)
  first.write(joining('0'))
  await until(() => first.chunks.join('').includes('"unsubscribed"'), { what: 'the answers to the first' })
  for (let user = 1; user <= 30; user++) {
    const { write, chunks } = await opened(t)
    write(joining(String(user)))
    await until(() => chunks.join('').includes('"unsubscribed"'), { what: 'all answers' })
    t.match(chunks, [/"connected","id":1,.*"subscribed","id":2,.*"unsubscribed","id":3/s])
    t.equal(chunks.length, 1)
  }
})

await t.test('what is refused among them ends nothing but itself, or the socket', async t => {
  const { write, chunks } = await opened(t)
  write(
    Buffer.concat([
      frames({ op: 'connect', id: 1, token: acme.user('a', { 7: ['read'] }) }, { op: 'fly', id: 2 }),
      frames({ op: 'subscribe', id: 3, threads: [] }, { op: 'unsubscribe', id: 4, threads: ['7'] }),
    ]),
  )
  await until(() => chunks.join('').includes('"unsubscribed"'), { what: 'the last answer' })
  t.match(chunks.join(''), /"connected","id":1,.*"error","id":2,.*"error","id":3,.*"unsubscribed","id":4/s)

  const raw = await openRaw(t, relay)
  raw.write(upgrade())
  await until(() => raw.text().includes('\r\n\r\n'), { what: 'an upgrade' })
  raw.write(
    frames({ op: 'connect', id: 1, token: acme.user('b') }, { op: 'connect', id: 2, token: 'x' }, { op: 'fly' }),
  )
  await until(() => raw.closed(), { what: 'the end of the socket, though nobody answers its closing' })
  t.match(raw.text(), /"connected","id":1,.*"error","id":2,"code":"bad_frame"/s)
  t.notMatch(raw.text(), /unknown_op/)
})

await t.test(
  'of a chain that is published to meanwhile no event comes before its answer, and none is missed',
  async t => {
    const server = acme.server()
    let going = true
    const publishing = (async () => {
      for (let n = 0; going; n++) await call(relay, server, '/v1/publish', { to: { thread: '7' }, type: 'm', data: n })
    })()
    for (let user = 0; user < 40; user++) {
      const { write, chunks } = await opened(t)
      write(joining(`m${user}`))
      await until(() => (chunks.join('').match(/"op":"event"/g) ?? []).length > 2, { what: 'events' })
      const [, connected = '', subscribed = '', ...events] = chunks.join('').split(/(?=\{"op":")/)
      t.ok(connected.startsWith('{"op":"connected"'), connected)
      t.ok(subscribed.startsWith('{"op":"subscribed"'), subscribed)
      let last = Number(/"thread:7":\{"head":(\d+)/.exec(subscribed)?.[1])
      for (const text of events) {
        const [, stamp, prev] = /"stamp":(\d+),"prev":(\d+)/.exec(text) ?? []
        // The last may have come in part.
        if (stamp === undefined || prev === undefined) continue
        t.equal(Number(prev), last)
        last = Number(stamp)
      }
    }
    going = false
    await publishing
  },
)
