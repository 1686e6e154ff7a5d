import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

await t.test('deploy/uws-binaries.sha256 lists each binary that the relay may load, as it is installed', async t => {
  const installed = ['node_modules/uws-20.30/binaries', 'node_modules/uws-20.56'].flatMap(folder =>
    readdirSync(join(ROOT, folder))
      .filter(name => name.endsWith('.node'))
      .map(name => {
        const hash = createHash('sha256').update(readFileSync(join(ROOT, folder, name)))
        return `${hash.digest('hex')}  ${folder}/${name}`
      }),
  )
  const listed = readFileSync(join(ROOT, 'deploy/uws-binaries.sha256'), 'utf8').trim().split('\n')
  t.strictSame(installed.toSorted(), listed.toSorted())
})
