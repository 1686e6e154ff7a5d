import t from 'tap'
import { parseListen } from '../../src/config/listen.ts'

await t.test('host:port and [IPv6]:port are read, port 0 included', async t => {
  t.strictSame(parseListen('0.0.0.0:8080'), { host: '0.0.0.0', port: 8080 })
  t.strictSame(parseListen('[::]:0'), { host: '::', port: 0 })
  t.strictSame(parseListen('[fe80::1]:65535'), { host: 'fe80::1', port: 65_535 })
  t.strictSame(parseListen('relay-1.example.com:80'), { host: 'relay-1.example.com', port: 80 })
})

await t.test('anything else is not an address', async t => {
  const wrong = ['', '8080', ':8080', 'host', 'host:', 'host:65536', 'host:-1', 'host:8a', 'a b:1', '::1:80', '[::1]']
  for (const text of [
    ...wrong,
    '[host]:80',
    '[127.0.0.1]:80',
    '256.0.0.1:80',
    '1.2.3:80',
    'http://host:80',
    'host:80/',
    ' host:80',
  ]) {
    t.equal(parseListen(text), undefined, text)
  }
})
