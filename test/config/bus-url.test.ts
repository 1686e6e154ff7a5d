import t from 'tap'
import { parseBus, redactBus } from '../../src/config/bus-url.ts'
import { loadConfig } from '../../src/config/load.ts'

await t.test('memory and the four kinds of Redis URL are read', async t => {
  t.strictSame(parseBus('memory'), { kind: 'memory' })
  for (const url of ['redis://h', 'redis://h:1/2', 'rediss://u:p%40@h', 'redis://:p@[::1]:6379', 'redis://h/']) {
    t.strictSame(parseBus(url), { kind: 'single', url })
  }
  const hosts = [
    { host: 'a', port: 1 },
    { host: '::1', port: 2 },
  ]
  t.strictSame(parseBus('redis+sentinel://a:1,[::1]:2/main'), {
    kind: 'sentinel',
    sentinels: hosts,
    name: 'main',
    login: {},
  })
  t.strictSame(parseBus('redis+cluster://a:1,[::1]:2'), { kind: 'cluster', nodes: hosts, login: {} })
})

await t.test('a login is decoded, with or without a user', async t => {
  const nodes = [{ host: 'h', port: 1 }]
  t.strictSame(parseBus('redis+cluster://me:p%2F%3A@h:1'), {
    kind: 'cluster',
    nodes,
    login: { username: 'me', password: 'p/:' },
  })
  t.strictSame(parseBus('redis+cluster://:a:b@h:1'), { kind: 'cluster', nodes, login: { password: 'a:b' } })
})

await t.test('a URL that is not quite one of them is not taken', async t => {
  const single = [
    'redis:',
    'redis://',
    'redis://h,i',
    'redis://h:0',
    'redis://h:65536',
    'redis://h/a',
    'redis://h?db=1',
    'redis://h#1',
  ]
  const login = [
    'redis://user@h',
    'redis://user:@h',
    'redis://u:%zz@h',
    'redis://u:a/b@h',
    'redis://u:1#b@h',
    'redis://u:1?b@h',
  ]
  const sentinel = [
    'redis+sentinel://h:1',
    'redis+sentinel://h:1/',
    'redis+sentinel://h/name',
    'redis+sentinel://h:1/a/b',
  ]
  const cluster = ['redis+cluster://h', 'redis+cluster://h:1,', 'redis+cluster://h:1/0', 'redis+cluster://h:0']
  const scheme = ['', 'Memory', 'http://h', 'REDIS://h', 'localhost:6379', ' redis://h']
  for (const text of [...single, ...login, ...sentinel, ...cluster, ...scheme]) t.equal(parseBus(text), undefined, text)
})

await t.test('what is told of a wrong URL holds no password', async t => {
  t.equal(redactBus('redis://me:hush@h:1,i:2/x'), 'redis://***@h:1,i:2/***')
  t.equal(redactBus('localhost:6379'), 'localhost:6379')
  t.equal(redactBus('redis://me:hush'), 'redis://me:***')
  const secrets = [
    'redis://me:hush@h/x',
    'redis://:hu/sh@h',
    'redis://:hu@sh@h/x',
    'redis://me:hush',
    'redis:/me:hush@h',
    'me:hush@h',
  ]
  for (const url of [
    ...secrets,
    'redis://:hush',
    'redis://:12/hush',
    'redis://h?password=hush',
    'redis://:h@h:1/x#hush',
    'redis+cluster://:a@hush@h',
  ]) {
    t.notMatch(redactBus(url), /hush|hu@|hu\/|sh@/, url)
    t.throws(
      () => loadConfig({ THROUGHLINE_SITES: 's', THROUGHLINE_BUS: url }),
      { message: /^THROUGHLINE_BUS: (?!.*hush)/ },
      url,
    )
  }
})
