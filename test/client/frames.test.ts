/** The examples of docs/protocol.md are the vectors that relay and client share. */
import { readFileSync } from 'node:fs'
import { t } from 'tap'
import { parseFrame } from '#client/frames.js'

const page = readFileSync(new URL('../../../docs/protocol.md', import.meta.url), 'utf8')
const lines = page.slice(page.indexOf('## Relay to client')).match(/^\{"op".*\}$/gm)!

await t.test('every frame that the protocol page shows is understood', async t => {
  t.ok(lines.length > 20)
  for (const line of lines) t.same(parseFrame(line), JSON.parse(line), line)
})

await t.test('a frame without what the client keeps is none', async t => {
  const event = lines.find(line => line.includes('"chain"'))!
  for (const field of ['id', 'type', 'stamp', 'prev', 'op']) {
    const { [field]: _, ...rest } = JSON.parse(event) as Record<string, unknown>
    t.equal(parseFrame(JSON.stringify(rest)), undefined, `without ${field}`)
  }
})
