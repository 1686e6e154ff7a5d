import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ConfigError } from '../../src/config/config-error.ts'
import { loadConfig } from '../../src/config/load.ts'

const SITES = { THROUGHLINE_SITES: 'sites.json' }

/** Returns the one line that an environment, or a file, stops the start with. */
function complaint(environment: NodeJS.ProcessEnv, file?: string): string {
  const { variable, message } = fault(environment, file)
  if (!message.startsWith(`${variable}: `) || message.includes('\n')) throw new Error(`not one line: ${message}`)
  return message
}

function fault(environment: NodeJS.ProcessEnv, file?: string): ConfigError {
  try {
    loadConfig(environment, file)
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  }
  throw new Error('nothing was wrong')
}

function wrong(name: string, value: string): string {
  return complaint({ ...SITES, [name]: value })
}

await t.test('only the sites or the operator keys must be set; all else has a default', async t => {
  const defaults = {
    wsListen: { host: '0.0.0.0', port: 8080 },
    apiListen: { host: '0.0.0.0', port: 8081 },
    adminListen: { host: '127.0.0.1', port: 9090 },
    bus: { kind: 'memory' },
    callbackAllow: [],
    trustProxy: [],
    prefix: 'tl',
    workers: 1,
    drainSeconds: 30,
    logLevel: 'info',
    traceShare: 0.01,
  }
  t.strictSame(loadConfig(SITES), { ...defaults, sites: 'sites.json' })
  t.strictSame(loadConfig({ THROUGHLINE_OPERATOR_JWKS: 'jwks.json' }), { ...defaults, operatorJwks: 'jwks.json' })
  t.equal(
    complaint({}),
    'THROUGHLINE_SITES: expected this or THROUGHLINE_OPERATOR_JWKS to be set, found neither; `throughline site add` makes a site file',
  )
})

await t.test('every variable is taken from the environment, and other programs’ are left alone', async t => {
  t.strictSame(
    loadConfig({
      PATH: '/bin',
      THROUGHLINE_WS_LISTEN: '127.0.0.1:0',
      THROUGHLINE_API_LISTEN: '[::1]:1',
      THROUGHLINE_ADMIN_LISTEN: 'localhost:65535',
      THROUGHLINE_BUS: 'redis://127.0.0.1',
      THROUGHLINE_SITES: 'a.json',
      THROUGHLINE_OPERATOR_JWKS: '{"keys":[]}',
      THROUGHLINE_REVOKED: 'c.json',
      THROUGHLINE_LIMITS: '{}',
      THROUGHLINE_CALLBACK_ALLOW: '10.1.0.0/16',
      THROUGHLINE_CALLBACK_KEY: 'callback.jwk',
      THROUGHLINE_TRUST_PROXY: '10.0.0.0/8, 2001:db8::/32,192.0.2.1,::1',
      THROUGHLINE_PREFIX: 'chat-1',
      THROUGHLINE_WORKERS: '2',
      THROUGHLINE_TLS_CERT: 'cert.pem',
      THROUGHLINE_TLS_KEY: 'key.pem',
      THROUGHLINE_DRAIN_SECONDS: '0',
      THROUGHLINE_LOG_LEVEL: 'silent',
      THROUGHLINE_OTLP: 'http://127.0.0.1:4318',
      THROUGHLINE_TRACE_SHARE: '0.5',
      UWS_BINARY: '/opt/uws',
    }),
    {
      wsListen: { host: '127.0.0.1', port: 0 },
      apiListen: { host: '::1', port: 1 },
      adminListen: { host: 'localhost', port: 65_535 },
      bus: { kind: 'single', url: 'redis://127.0.0.1' },
      sites: 'a.json',
      operatorJwks: '{"keys":[]}',
      revoked: 'c.json',
      limits: '{}',
      callbackAllow: ['10.1.0.0/16'],
      callbackKey: 'callback.jwk',
      trustProxy: ['10.0.0.0/8', '2001:db8::/32', '192.0.2.1/32', '::1/128'],
      prefix: 'chat-1',
      workers: 2,
      tlsCert: 'cert.pem',
      tlsKey: 'key.pem',
      drainSeconds: 0,
      logLevel: 'silent',
      otlp: 'http://127.0.0.1:4318/v1/traces',
      traceShare: 0.5,
      uwsBinary: '/opt/uws',
    },
  )
})

await t.test('a wrong value is answered with the variable, what was expected and what was found', async t => {
  t.equal(
    wrong('THROUGHLINE_WS_LISTEN', '8080'),
    'THROUGHLINE_WS_LISTEN: expected host:port or [IPv6]:port, such as 0.0.0.0:8080, found "8080"',
  )
  t.equal(
    wrong('THROUGHLINE_DRAIN_SECONDS', '30s'),
    'THROUGHLINE_DRAIN_SECONDS: expected whole seconds, 0 to 3600, found "30s"',
  )
  t.match(wrong('THROUGHLINE_DRAIN_SECONDS', '3601'), 'found "3601"')
  t.match(
    wrong('THROUGHLINE_PREFIX', '{tl}'),
    'THROUGHLINE_PREFIX: expected 1 to 32 of A-Z a-z 0-9 _ . -, found "{tl}"',
  )
  t.match(
    wrong('THROUGHLINE_LOG_LEVEL', 'INFO'),
    'expected one of fatal, error, warn, info, debug, trace, silent, found "INFO"',
  )
  t.match(wrong('THROUGHLINE_TRACE_SHARE', '1.5'), 'expected a number, 0 to 1, found "1.5"')
  t.match(wrong('THROUGHLINE_OTLP', 'collector:4318'), 'expected an http or https URL')
  const proxies = 'THROUGHLINE_TRUST_PROXY: expected none, or networks such as 10.0.0.0/8,2001:db8::/32, found'
  for (const text of [
    '10.0.0.0/33',
    '10.0.0/8',
    '::/129',
    'proxy',
    '10.0.0.1,',
    'none,10.0.0.1',
    'fe80::1%eth0',
    '10.0.0.0/-1',
  ]) {
    t.equal(wrong('THROUGHLINE_TRUST_PROXY', text), `${proxies} ${JSON.stringify(text)}`)
  }
  t.match(wrong('THROUGHLINE_LOG_LEVEL', 'in\nfo'), String.raw`found "in\nfo"`, 'stays one line')
})

await t.test('values that do not go together are refused', async t => {
  for (const value of ['0', '129', 'two', '1.5', '-1']) {
    t.match(wrong('THROUGHLINE_WORKERS', value), /^THROUGHLINE_WORKERS: expected a whole number, 1 to 128, found "/)
  }
  t.equal(
    wrong('THROUGHLINE_WORKERS', '2'),
    'THROUGHLINE_WORKERS: expected 1 with the memory bus, since processes share events only through Redis (THROUGHLINE_BUS), found "2"',
  )
  t.equal(
    wrong('THROUGHLINE_TLS_CERT', 'cert.pem'),
    'THROUGHLINE_TLS_KEY: expected a path, since THROUGHLINE_TLS_CERT is set, found nothing',
  )
  t.equal(
    wrong('THROUGHLINE_TLS_KEY', 'key.pem'),
    'THROUGHLINE_TLS_CERT: expected a path, since THROUGHLINE_TLS_KEY is set, found nothing',
  )
})

await t.test('an unknown THROUGHLINE_ name is refused, and the nearest known one suggested', async t => {
  t.equal(
    complaint({ ...SITES, THROUGHLINE_WS_LISTN: ':1' }),
    'THROUGHLINE_WS_LISTN: expected the name of a variable, found one that is not known; did you mean THROUGHLINE_WS_LISTEN?',
  )
  t.match(complaint({ ...SITES, THROUGHLINE_DRAIN: '1' }), 'did you mean THROUGHLINE_DRAIN_SECONDS?')
  t.match(complaint({ ...SITES, THROUGHLINE_COLOUR: 'red' }), /^THROUGHLINE_COLOUR: .*see `throughline serve --help`/)
})

await t.test('an empty value counts as not set', async t => {
  t.equal(loadConfig({ ...SITES, THROUGHLINE_PREFIX: '' }).prefix, 'tl')
  t.match(complaint({ THROUGHLINE_SITES: '' }), 'found neither')
})

await t.test('a file', async t => {
  const write = (text: string): string => {
    const file = join(t.testdirName, 'node.conf')
    writeFileSync(file, text)
    return file
  }
  t.testdir({})

  await t.test('gives the same names, with comments and empty lines between', async t => {
    const file = write('# a node\n\nTHROUGHLINE_SITES=no\n THROUGHLINE_PREFIX=a.b \r\nUWS_BINARY=/x=y\n')
    const { sites, prefix, uwsBinary } = loadConfig({}, file)
    t.strictSame({ sites, prefix, uwsBinary }, { sites: 'no', prefix: 'a.b', uwsBinary: '/x=y' })
  })

  await t.test('gives way to the environment, unless that is empty', async t => {
    const file = write('THROUGHLINE_SITES=file.json\nTHROUGHLINE_PREFIX=file\n')
    const { sites, prefix } = loadConfig({ THROUGHLINE_SITES: 'env.json', THROUGHLINE_PREFIX: '' }, file)
    t.strictSame({ sites, prefix }, { sites: 'env.json', prefix: 'file' })
  })

  await t.test('is refused for a line that is no NAME=value, without showing it', async t => {
    const file = write('THROUGHLINE_SITES=a\nexport SECRET=hush\n')
    t.equal(complaint({}, file), `--config: expected NAME=value in line 2 of ${file}, found something else`)
  })

  await t.test('is refused for a name that stands twice, or that is unknown', async t => {
    const twice = write('THROUGHLINE_SITES=a\nTHROUGHLINE_SITES=b\n')
    t.equal(complaint({}, twice), `THROUGHLINE_SITES: expected once, found again in line 2 of ${twice}`)
    t.match(complaint(SITES, write('THROUGHLINE_BUSS=memory')), 'did you mean THROUGHLINE_BUS?')
    t.match(complaint(SITES, write('PATH=/bin')), /^PATH: expected the name of a variable/)
  })

  await t.test('is refused when it is not there', async t => {
    t.equal(
      complaint(SITES, '/no/such/file'),
      '--config: expected a readable file, found none at /no/such/file (ENOENT)',
    )
  })
})
