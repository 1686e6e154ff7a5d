import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { t } from 'tap'

const MOST_BYTES = 8 * 1024

await t.test('the whole client, sharing included, is at most 8 KiB gzipped', async t => {
  const script = readFileSync(new URL('../../../client/dist/script/throughline.js', import.meta.url))
  const { length } = gzipSync(script, { level: 9 })
  t.comment(`${length} bytes`)
  t.ok(length <= MOST_BYTES, `${length} bytes`)
})
