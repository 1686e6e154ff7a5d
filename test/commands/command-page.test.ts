import { readFileSync } from 'node:fs'
import t from 'tap'
import { openFolder } from './throughline.ts'

const PAGE = readFileSync(new URL('../../../docs/command.md', import.meta.url), 'utf8')
const sections = PAGE.split(/^## throughline /m).slice(1)
const title = (section: string): string => section.split('\n', 1)[0] ?? ''
const options = (text: string): string[] => [...new Set(text.match(/--[a-z][a-z-]+/g))].toSorted()
const folder = await openFolder(t)

await t.test('the page has a section and an example for each command', async t => {
  const { stdout } = await folder.run('--help')
  const names = [...stdout.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name = '']) => name)
  t.strictSame(sections.map(title).toSorted(), names.toSorted())
  for (const section of sections) t.match(section, /^```sh\n[^`]*throughline /m, title(section))
})

await t.test('the page tells every option of each command, and no other', async t => {
  for (const section of sections) {
    const name = title(section)
    const { stdout } = await folder.run(name, '--help')
    const synopsis = [...section.matchAll(/^ {4}(.*)$/gm)].map(([, line]) => line).join('\n')
    const listed = [...stdout.matchAll(/^ {2}(--[a-z-]+)/gm)].map(([, option = '']) => option).toSorted()
    t.strictSame(options(synopsis), listed, name)
  }
})

// These need open ports; e2e tests run them.
const runnable = sections.filter(
  section => !['serve', 'publish', 'callback', 'callbacks', 'doctor', 'top'].includes(title(section)),
)

await t.test('the examples work in the order of the page', async t => {
  for (const section of runnable) {
    for (const [, example = ''] of section.matchAll(/^```sh\n([^`]*)```/gm)) {
      t.match(await folder.shell(example), { code: 0, stderr: '' }, example)
    }
  }
})
