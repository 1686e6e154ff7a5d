import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

/** The law of imports (docs/architecture.md): downwards only, never sideways inside a row. */
const ROWS = [
  ['main', 'cli', 'commands', 'workers', 'config'],
  ['gateway', 'api', 'admin'],
  ['connection'],
  ['hub', 'presence', 'receipts', 'callbacks'],
  ['bus', 'trust', 'limits', 'redis'],
  ['protocol', 'observe'],
  ['lib'],
]
/** Row 0 may import within itself; what carries events may use Redis, which stands in its row. */
const SIDEWAYS = new Set([
  'main→config',
  'cli→commands',
  'cli→config',
  'commands→main',
  'commands→workers',
  'workers→main',
  'workers→config',
  'commands→config',
  'bus→redis',
  'limits→redis',
  'trust→redis',
  'observe→protocol',
])
/** Who may import a library: no other folder does. */
const LIBRARIES: Record<string, readonly string[]> = {
  'uws-20.56': ['gateway'],
  ioredis: ['redis'],
  fastify: ['api', 'admin'],
  '@fastify/swagger': ['api'],
  typebox: ['api'],
  'prom-client': ['observe'],
  '@opentelemetry/api': ['observe'],
  '@opentelemetry/sdk-trace': ['observe'],
  '@opentelemetry/resources': ['observe'],
  '@opentelemetry/exporter-trace-otlp-http': ['observe'],
  pino: ['observe'],
  jose: ['trust', 'commands'],
  'lru-cache': ['trust'],
  undici: ['callbacks', 'commands'],
  'ipaddr.js': ['callbacks'],
}
/** What only some may touch, so that a test can hand in another clock and a reader finds every source of it. */
const RESERVED: readonly [RegExp, readonly string[]][] = [
  [/process\.env/, ['config', 'gateway']],
  [/\bDate\.now\b|\bMath\.random\b|\bset(Timeout|Interval|Immediate)\(/, ['lib', 'gateway', 'redis']],
]

const root = join(dirname(fileURLToPath(import.meta.url)), '../../src')
const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts'))

function folderOf(file: string): string {
  return file.split('/')[0]!.replace(/\.ts$/, '')
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8')
  const matches = text.matchAll(/^(?:import|export)\b[^'`]*?from '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gm)
  return [...matches].map(([, from, bare, dynamic]) => from ?? bare ?? dynamic!)
}

const rowOf = (folder: string): number => ROWS.findIndex(row => row.includes(folder))

void t.test('every folder of src has its row, and every row its folders', async t => {
  const folders = new Set(files.map(folderOf))
  t.same([...folders].toSorted(), ROWS.flat().toSorted())
})

void t.test('imports go down, never up and never sideways', async t => {
  let seen = 0
  for (const file of files) {
    for (const target of importsOf(file).filter(name => name.startsWith('.'))) {
      const from = folderOf(file)
      const to = folderOf(relative(root, join(root, dirname(file), target)))
      if (from === to) continue
      seen++
      const allowed = rowOf(to) > rowOf(from) || SIDEWAYS.has(`${from}→${to}`)
      if (!allowed) t.fail(`${file} imports ${target}: ${from} may not import ${to}`)
    }
  }
  t.ok(seen > 50, 'the imports were found')
})

void t.test('each library has its one place', async t => {
  const found = new Set<string>()
  for (const file of files) {
    for (const name of importsOf(file).filter(name => !/^(\.|node:)/.test(name))) {
      found.add(name)
      if (!LIBRARIES[name]?.includes(folderOf(file))) t.fail(`${file} imports ${name}`)
    }
  }
  t.same([...found].toSorted(), Object.keys(LIBRARIES).toSorted())
})

void t.test('the environment, the clock and chance come from one place each', async t => {
  for (const file of files) {
    const text = readFileSync(join(root, file), 'utf8').replaceAll(/\/\*[^]*?\*\/|\/\/.*/g, '')
    for (const [pattern, folders] of RESERVED) {
      if (pattern.test(text) && !folders.includes(folderOf(file))) t.fail(`${file} uses ${pattern}`)
    }
  }
  t.pass()
})
