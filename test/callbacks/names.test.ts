import { pbkdf2 } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { t, type Test } from 'tap'
import { Names } from '../../src/callbacks/names.ts'

const A = 1
const FAILED = 2

/** Starts a name server (RFC 1035 §4) that knows good.example, fails for bad.example, and keeps silent about others. */
async function startServer(t: Test): Promise<{ names: Names; asked: string[] }> {
  const socket = createSocket('udp4')
  const asked: string[] = []
  socket.on('message', (query, { port, address }) => {
    let at = 12
    const labels: string[] = []
    for (let length = query[at]!; length > 0; length = query[at]!) {
      labels.push(query.toString('latin1', at + 1, at + 1 + length))
      at += 1 + length
    }
    const name = labels.join('.')
    const wanted = query.readUInt16BE(at + 1)
    asked.push(name)
    const [what] = labels
    if (what !== 'good' && what !== 'bad') return
    const answers = what === 'good' && wanted === A ? 1 : 0
    const head = Buffer.alloc(12)
    query.copy(head, 0, 0, 2)
    head.writeUInt16BE(0x8180 | (what === 'bad' ? FAILED : 0), 2)
    head.writeUInt16BE(1, 4)
    head.writeUInt16BE(answers, 6)
    const record = Buffer.from([0xc0, 12, 0, A, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7])
    const answer = [head, query.subarray(12, at + 5), ...(answers === 0 ? [] : [record])]
    socket.send(Buffer.concat(answer), port, address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.teardown(() => socket.close())
  const names = new Names({ servers: [`127.0.0.1:${socket.address().port}`], patienceMs: 500 })
  return { names, asked }
}

await t.test('a name has the addresses that DNS knows', async t => {
  const { names } = await startServer(t)
  t.same(await names.resolve('good.example'), [{ address: '192.0.2.7', family: 4 }])
  await t.rejects(names.resolve('bad.example'), { code: 'ESERVFAIL' })
})

await t.test('what the system has at hand is not asked of DNS', async t => {
  const { names, asked } = await startServer(t)
  t.match(await names.resolve('localhost'), [{ address: /^(127\.0\.0\.1|::1)$/ }])
  t.same(asked, [])
})

await t.test('name servers that do not answer hold up no other name, and none of the threads of Node', async t => {
  const { names, asked } = await startServer(t)
  const silent = Array.from({ length: 100 }, (_, i) => names.resolve(`silent-${i}.example`))
  const ends = Promise.allSettled(silent)
  let ended = false
  void ends.then(() => (ended = true))
  t.same(await names.resolve('good.example'), [{ address: '192.0.2.7', family: 4 }])
  await promisify(pbkdf2)('a', 'b', 1, 16, 'sha256')
  t.equal(ended, false)
  t.ok(asked.some(name => name.startsWith('silent')))
  for (const end of await ends) t.match(end, { status: 'rejected', reason: { code: /^E(TIMEOUT|CANCELLED)$/ } })
})
