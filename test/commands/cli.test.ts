import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { VARIABLES } from '../../src/config/schema.ts'
import { openFolder, type Outcome, refused } from './throughline.ts'

const COMMANDS = ['serve', 'keys', 'site', 'token', 'licence', 'callback', 'callbacks', 'publish', 'doctor', 'top']
const folder = await openFolder(t)

await t.test('--help names every command, and every command has help of its own', async t => {
  const { code, stdout } = await folder.run('--help')
  t.equal(code, 0)
  t.strictSame(
    [...stdout.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name]) => name),
    COMMANDS,
  )
  for (const name of COMMANDS) {
    const help = await folder.run(name, '--help')
    t.match(help, { code: 0, stderr: '' })
    t.match(help.stdout, new RegExp(String.raw`^throughline ${name}[^]*\nExamples?:\n  .*throughline `), name)
  }
})

await t.test('serve --help tells every variable with its default', async t => {
  const { stdout } = await folder.run('serve', '--help')
  for (const { name, help, ...variable } of Object.values(VARIABLES)) {
    const value = 'default' in variable ? ` (default ${variable.default})` : ''
    t.ok(stdout.includes(`  ${name}${value}\n      ${help}\n`), name)
  }
})

await t.test('--version prints the version of the package', async t => {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  t.match(await folder.run('--version'), { code: 0, stdout: `${version}\n` })
})

await t.test('npx throughline runs in a checkout that was built', async t => {
  const cwd = fileURLToPath(new URL('../../../', import.meta.url))
  const { stdout } = await promisify(execFile)('npx', ['throughline', '--help'], { cwd })
  t.match(stdout, /^throughline COMMAND/)
})

await t.test('a command that is unknown or missing is answered with what to do', async t => {
  refused(
    t,
    await folder.run('tokens'),
    64,
    'there is no command "tokens"; did you mean `throughline token`? see `throughline --help`',
  )
  refused(t, await folder.run('constructor'), 64, 'there is no command "constructor"; see `throughline --help`')
  refused(t, await folder.run(), 64, 'no command was given; see `throughline --help`')
})

await t.test('an option or word that is unknown is answered with what to do', async t => {
  for (const name of COMMANDS) {
    refused(
      t,
      await folder.run(name, '--colour'),
      64,
      `throughline ${name}: Unknown option '--colour'; see \`throughline ${name} --help\``,
    )
  }
  refused(t, await folder.run('keys', 'more'), 64, "Unexpected argument 'more'; see `throughline keys --help`")
  refused(
    t,
    await folder.run('token', '--site'),
    64,
    "Option '--site <value>' argument missing; see `throughline token --help`",
  )
})

await t.test('a wrong configuration ends with exit code 78 and the one line that names the variable', async t => {
  const serve = (line: string): Promise<Outcome> => folder.shell(`${line} exec throughline serve`)
  refused(
    t,
    await serve(''),
    78,
    /^THROUGHLINE_SITES: expected this or THROUGHLINE_OPERATOR_JWKS to be set, found neither/,
  )
  refused(t, await serve('THROUGHLINE_SITES=none.json'), 78, /^THROUGHLINE_SITES: none.json: expected a readable file/)
  refused(
    t,
    await serve('THROUGHLINE_WS_LISTEN=8080'),
    78,
    /^THROUGHLINE_WS_LISTEN: expected host:port .*, found "8080"\n$/,
  )
  refused(
    t,
    await serve(`THROUGHLINE_SITES=none.json THROUGHLINE_LIMITS='{"connections": 0}'`),
    78,
    /^THROUGHLINE_LIMITS: connections: expected a positive integer, found 0\n$/,
  )
  refused(
    t,
    await serve('THROUGHLINE_SITES=none.json THROUGHLINE_TRUST_PROXY=10.0.0.0/33'),
    78,
    /^THROUGHLINE_TRUST_PROXY: expected none, or networks such as .*, found "10.0.0.0\/33"\n$/,
  )
  refused(
    t,
    await folder.run('serve', '--config', 'none.conf'),
    78,
    /^--config: expected a readable file, found none at none.conf/,
  )
})

await t.test('the examples in the help of keys, site, token and licence work as they stand', async t => {
  const fresh = await openFolder(t)
  for (const name of ['site', 'keys', 'token', 'licence']) {
    const { stdout } = await fresh.run(name, '--help')
    const examples = stdout.split(/\nExamples?:\n/)[1] ?? ''
    t.match(await fresh.shell(examples), { code: 0, stderr: '' }, name)
  }
})
