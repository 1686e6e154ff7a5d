import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { t } from 'tap'

const CLIENT = new URL('../../../client/', import.meta.url)
/** What a page needs that shares with no other. */
const CORE = `
  import { createClient } from './src/client.ts'
  import { directPort } from './src/direct.ts'
  import { createHub } from './src/hub.ts'
  globalThis.connect = options => createClient(options, directPort(createHub(options)))`

const kibibytes = (bytes: Uint8Array): number => gzipSync(bytes, { level: 9 }).length / 1024

await t.test('the core of the client is at most 8 KiB gzipped', async t => {
  const { outputFiles } = await build({
    stdin: { contents: CORE, resolveDir: fileURLToPath(CLIENT) },
    bundle: true,
    minify: true,
    format: 'iife',
    target: 'es2022',
    write: false,
  })
  const size = kibibytes(outputFiles[0]!.contents)
  t.ok(size <= 8, `${size.toFixed(2)} KiB`)
})

await t.test('the script, with sharing among tabs, is at most 10 KiB gzipped', async t => {
  const size = kibibytes(readFileSync(new URL('dist/script/throughline.js', CLIENT)))
  t.ok(size <= 10, `${size.toFixed(2)} KiB`)
})
