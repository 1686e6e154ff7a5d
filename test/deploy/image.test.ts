/** The Dockerfile and what it is given; deploy/check-image.sh builds and runs it. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const read = (path: string): string => readFileSync(fileURLToPath(new URL(`../../../${path}`, import.meta.url)), 'utf8')
const dockerfile = read('Dockerfile')
const { version, devDependencies } = JSON.parse(read('package.json')) as {
  version: string
  devDependencies: Record<string, string>
}
const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, files = '']) => files.split(' '))

await t.test('.dockerignore lets through what is copied, and nothing else', async t => {
  const [, ...passed] = read('.dockerignore')
    .split('\n')
    .filter(line => /^[^#]/.test(line))
  t.strictSame(passed.toSorted(), copied.map(file => `!${file}`).toSorted())
})

await t.test('what npm ci reads of packages by path is copied', async t => {
  const folders = Object.values(devDependencies).flatMap(spec => /^file:(.*)/.exec(spec)?.[1] ?? [])
  t.strictSame(
    copied.filter(file => file.endsWith('/package.json')),
    folders.map(folder => `${folder}/package.json`),
  )
})

await t.test("the label tells the relay's version", async t => {
  t.match(dockerfile, `org.opencontainers.image.version="${version}"`)
})

await t.test('its user is not root, by number', async t => {
  t.match(dockerfile.slice(dockerfile.lastIndexOf('\nFROM ')), /^USER [1-9]\d*$/m)
})
