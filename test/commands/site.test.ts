import { chmod, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import t from 'tap'
import { site } from '../../src/commands/site.ts'
import { type Folder, misused, openFolder, refused } from './throughline.ts'

const ORIGIN = ['--origin', 'https://example.com']

async function sites(
  folder: Folder,
  name = 'sites.json',
): Promise<Record<string, { keys: object[]; origins: string[] }>> {
  return JSON.parse(await readFile(folder.file(name), 'utf8')) as Record<string, { keys: object[]; origins: string[] }>
}

await t.test('makes the site file with a new secret, for its owner only, and says what comes next', async t => {
  const folder = await openFolder(t)
  const { code, stdout } = await folder.run('site', 'add', 'acme', ...ORIGIN, '--origin', 'http://localhost:3000')
  t.equal(code, 0)
  t.match(await sites(folder), {
    acme: {
      keys: [{ kty: 'oct', alg: 'HS256', kid: String, k: String }],
      origins: ['https://example.com', 'http://localhost:3000'],
    },
  })
  t.equal((await stat(folder.file('sites.json'))).mode & 0o777, 0o600)
  t.strictSame(await readdir(folder.path), ['sites.json'], 'nothing else is left behind')

  const secret = JSON.stringify((await sites(folder))['acme']?.keys).match(/"k":"([^"]+)"/)?.[1] ?? ''
  t.notMatch(stdout, secret, 'the secret is not shown')
  const next = stdout.split('\n').find(line => line.includes('throughline token'))
  t.match(await folder.shell(next ?? 'false'), { code: 0, stdout: /^ey/ }, 'what it proposes works')
})

await t.test('leaves the other sites and the rights of the file as they are', async t => {
  const folder = await openFolder(t)
  const other = { keys: [], origins: [], callback: { url: 'https://other.example/cb' } }
  await mkdir(folder.file('real'))
  await writeFile(folder.file('real/sites.json'), JSON.stringify({ other }))
  await chmod(folder.file('real/sites.json'), 0o640)
  await symlink('real/sites.json', folder.file('link.json'))
  t.equal((await folder.run('site', 'add', 'acme', ...ORIGIN, '--sites', 'link.json')).code, 0)
  t.strictSame(
    Object.keys(await sites(folder, 'real/sites.json')),
    ['other', 'acme'],
    'a link is followed, not replaced',
  )
  t.strictSame((await sites(folder, 'link.json'))['other'], other)
  t.equal((await stat(folder.file('real/sites.json'))).mode & 0o777, 0o640)
})

await t.test('takes a public key or a secret from a file, but no private key', async t => {
  const folder = await openFolder(t)
  await folder.shell(
    'throughline keys --out private.json > public.json; throughline keys --alg HS256 --out secret.json',
  )
  t.equal((await folder.run('site', 'add', 'a', ...ORIGIN, '--key', 'public.json')).code, 0)
  t.equal((await folder.run('site', 'add', 'b', ...ORIGIN, '--key', 'secret.json')).code, 0)
  t.strictSame((await sites(folder))['a']?.keys, [JSON.parse(await readFile(folder.file('public.json'), 'utf8'))])
  t.match((await sites(folder))['b']?.keys, [{ kty: 'oct' }])
  refused(t, await folder.run('site', 'add', 'c', ...ORIGIN, '--key', 'private.json'), 1, 'holds a private key')
  await writeFile(folder.file('short.json'), '{"kty":"oct","k":"c2hvcnQ"}')
  refused(t, await folder.run('site', 'add', 'c', ...ORIGIN, '--key', 'short.json'), 1, 'short.json is not a JWK')
  refused(t, await folder.run('site', 'add', 'c', ...ORIGIN, '--key', 'none.json'), 1, 'ENOENT')
  t.strictSame(Object.keys(await sites(folder)), ['a', 'b'])
})

await t.test('refuses, and leaves the file as it was', async t => {
  const folder = await openFolder(t)
  await folder.run('site', 'add', 'acme', ...ORIGIN)
  const before = await readFile(folder.file('sites.json'), 'utf8')
  const add = (...args: string[]): ReturnType<Folder['run']> => folder.run('site', 'add', ...args)

  await t.test('a site that is there', async t =>
    refused(t, await add('acme', ...ORIGIN), 1, 'has a site acme already'),
  )
  await t.test('a bad id', async t => {
    for (const id of ['Acme', 'a_b', 'a'.repeat(64), '__proto__', '']) {
      await misused(t, site, ['add', id, ...ORIGIN], 'is not a site id: 1 to 63 of a-z 0-9 -')
    }
  })
  await t.test('an origin that no browser would send', async t => {
    refused(t, await add('b', '--origin', 'https://Example.com/'), 64, 'use https://example.com;')
    refused(t, await add('b', '--origin', 'https://example.com:443'), 64, 'use https://example.com;')
    for (const origin of ['example.com', 'ftp://example.com', 'null', '*', '']) {
      await misused(t, site, ['add', 'b', '--origin', origin], 'is not a web origin such as https://example.com')
    }
    refused(t, await add('b'), 64, '--origin URL is missing')
  })
  await t.test('words that are not `add ID`', async t => {
    for (const words of [[], ['add'], ['remove', 'acme'], ['add', 'a', 'b']]) {
      await misused(t, site, [...words, ...ORIGIN], 'say `throughline site add ID --origin URL`')
    }
  })
  await t.test('while another command writes it', async t => {
    await writeFile(folder.file('sites.json.new'), '')
    refused(t, await add('b', ...ORIGIN), 1, 'sites.json.new is there: another command is at work')
    t.ok((await readdir(folder.path)).includes('sites.json.new'), 'and leaves that one alone')
  })
  t.equal(await readFile(folder.file('sites.json'), 'utf8'), before)
})

await t.test('refuses a file that is not a site file', async t => {
  const folder = await openFolder(t)
  for (const text of ['{"a":', '[]', '"x"']) {
    await writeFile(folder.file('sites.json'), text)
    refused(t, await folder.run('site', 'add', 'acme', ...ORIGIN), 1, 'sites.json is not a site file')
    t.equal(await readFile(folder.file('sites.json'), 'utf8'), text)
  }
  t.strictSame(await readdir(folder.path), ['sites.json'])
})
