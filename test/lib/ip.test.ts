import t from 'tap'
import { networkOf, parseIp } from '../../src/lib/ip.ts'

await t.test('an address has one way of being written', async t => {
  const cases: [text: string, ip: string][] = [
    ['192.0.2.1', '192.0.2.1'],
    ['::', '0:0:0:0:0:0:0:0'],
    ['::1', '0:0:0:0:0:0:0:1'],
    ['2001:DB8::0a:1', '2001:db8:0:0:0:0:a:1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2:3:4:5:6'],
    ['2001:0db8:0000:0000:0000:0000:0000:000a', '2001:db8:0:0:0:0:0:a'],
    ['0000:0000:0000:0000:0000:ffff:7f00:0001', '127.0.0.1'],
    ['1::', '1:0:0:0:0:0:0:0'],
    ['64:ff9b::192.0.2.33', '64:ff9b:0:0:0:0:c000:221'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:c000:0201', '192.0.2.1'],
    ['0:0:0:0:0:ffff:255.255.255.255', '255.255.255.255'],
  ]
  for (const [text, ip] of cases) t.equal(parseIp(text), ip, text)
})

await t.test('what is no address is none', async t => {
  const texts = [
    '',
    ' ',
    'x',
    'unknown',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    '01.2.3.4',
    '1.2.3.4:5',
    '[::1]',
    '1.2.3.4 ',
  ]
  for (const text of [
    ...texts,
    ':::',
    '1::2::3',
    'fe80::1%eth0',
    '::ffff:1.2.3.256',
    '1:2:3:4:5:6:7:8:9',
    '1'.repeat(5000),
  ]) {
    t.equal(parseIp(text), undefined, text.slice(0, 30))
  }
})

await t.test('an IPv6 address stands for its /64, an IPv4 address for itself', async t => {
  t.equal(networkOf('192.0.2.1'), '192.0.2.1')
  t.equal(networkOf(parseIp('2001:db8:1:2:3:4:5:6')!), '2001:db8:1:2::/64')
  t.equal(networkOf(parseIp('2001:db8:1:2::')!), networkOf(parseIp('2001:db8:1:2:ffff::1')!))
})
