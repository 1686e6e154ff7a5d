import { readFileSync } from 'node:fs'
import t from 'tap'
import { VARIABLES, type Variable } from '../../src/config/schema.ts'

const PAGE = readFileSync(new URL('../../../docs/configuration.md', import.meta.url), 'utf8')
const variables = Object.values<Variable<unknown>>(VARIABLES)

await t.test(
  'the table of docs/configuration.md is the schema: names, defaults and help, none missing, none too many',
  async t => {
    const rows = PAGE.match(/^\| `[A-Z_]+` .*$/gm) ?? []
    const expected = variables.map(
      ({ name, default: value, help }) =>
        `| \`${name}\` | ${value === undefined ? 'none' : `\`${value}\``} | ${help} |`,
    )
    t.strictSame(rows, expected)
  },
)

await t.test('the page names no variable that does not exist', async t => {
  const named = new Set(PAGE.match(/THROUGHLINE_[A-Z_]*[A-Z]/g))
  named.delete('THROUGHLINE_PORT') // the page warns of it: Kubernetes sets it
  t.strictSame(
    [...named].filter(name => !variables.some(variable => variable.name === name)),
    [],
  )
})

await t.test('every default passes its own check', async t => {
  for (const { name, default: value, parse } of variables) if (value !== undefined) t.not(parse(value), undefined, name)
})
