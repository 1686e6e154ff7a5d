import { readFileSync } from 'node:fs'
import t from 'tap'
import { CHECKS } from '../../src/commands/doctor/checks.ts'
import { FINDINGS } from '../../src/commands/doctor/findings.ts'

const PAGE = readFileSync(new URL('../../../docs/operate/doctor.md', import.meta.url), 'utf8')

await t.test('the page has every finding with its level and remedy, and no other', async t => {
  const rows = [...PAGE.matchAll(/^\| `(\w+)` \| (warn|fail) \| (.+) \|$/gm)].map(([, ...row]) => row.join())
  const table = Object.entries(FINDINGS).map(([name, { level, remedy }]) => [name, level, remedy].join())
  t.strictSame(rows.toSorted(), table.toSorted())
})

await t.test('the page has every check in its order', async t => {
  const [, table = ''] = PAGE.split('## What is looked at\n')
  const rows = [...table.matchAll(/^\| `([\w-]+)` \| [^|]+ \|$/gm)].map(([, name]) => name)
  t.strictSame(rows, ['configuration', ...CHECKS.map(({ name }) => name)])
})
