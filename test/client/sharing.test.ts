/** Pure parts of sharing: whom a token is for, and the version that keeps different builds apart. */
import { readFile } from 'node:fs/promises'
import { t } from 'tap'
import { Site } from '../support/relay.ts'

const CLIENT = new URL('../../../client/', import.meta.url)
const load = (file: string): Promise<any> => import(new URL(`dist/sharing/${file}`, CLIENT).href)

await t.test('pages and workers of different releases do not share: the version is that of the package', async t => {
  const { version } = JSON.parse(await readFile(new URL('package.json', CLIENT), 'utf8')) as { version: string }
  const { VERSION } = await load('line.js')
  t.equal(VERSION, version)
})

await t.test('a token tells site and user, whatever its other claims', async t => {
  const { identityOf } = await load('identity.js')
  t.equal(identityOf(new Site('acme').user('7', { 42: ['read'] }, { info: { name: 'Zoë ❤ ÿÿÿ???>>>' } })), 'acme/7')
  t.equal(identityOf(new Site('acme').user('a.b@c:d-e_f')), 'acme/a.b@c:d-e_f')
})

await t.test('what is no token has no identity, so nothing is shared by it', async t => {
  const { identityOf } = await load('identity.js')
  for (const text of ['', 'x', 'a.b.c', '..', `a.${btoa('null')}.c`, `a.${btoa('{"iss":"acme"}')}.c`])
    t.equal(identityOf(text), '', text)
})

await t.test('the token that told the identity is the first that is given; then the application is asked', async t => {
  const { withIdentity } = await load('identity.js')
  const site = new Site('acme')
  const given: string[] = []
  const { identity, token } = withIdentity(() => given[given.push(site.user(String(given.length))) - 1])
  t.equal(await identity(), 'acme/0')
  t.equal(await token(), given[0])
  t.equal(given.length, 1)
  t.equal(await token(), given[1])
  t.equal(given.length, 2)
})
