import t from 'tap'
import { AddressGuard } from '../../src/callbacks/address-guard.ts'

const REFUSED = [
  '127.0.0.1',
  '127.9.9.9',
  '0.0.0.0',
  '10.0.0.1',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '169.254.169.254',
  '100.64.0.1',
  '198.18.0.1',
  '192.0.0.1',
  '192.0.2.1',
  '198.51.100.1',
  '203.0.113.1',
  '224.0.0.1',
  '240.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::ffff:127.0.0.1',
  '::ffff:a00:1',
  '::127.0.0.1',
  '::ffff:0:127.0.0.1',
  '64:ff9b::7f00:1',
  '64:ff9b:1::a00:1',
  '2002:7f00:1::',
  '2001::1',
  '2001:db8::1',
  'fc00::1',
  'fd00:ec2::254',
  'fe80::1',
  'fe80::1%1',
  'fec0::1',
  'ff02::1',
  '100::1',
]

await t.test('nothing but public unicast is called, however it is written', async t => {
  const guard = new AddressGuard([])
  for (const address of REFUSED) {
    t.throws(() => guard.check('https:', address), /is not on the public internet/, address)
  }
  for (const address of ['93.184.216.34', '2606:2800:220:1::1', '172.32.0.1', '100.128.0.1']) {
    t.doesNotThrow(() => guard.check('https:', address), address)
    t.throws(() => guard.check('http:', address), /begins with https:\/\//, `${address} without TLS`)
  }
})

await t.test('what the operator allows is called, without TLS too, and nothing beside it', async t => {
  const guard = new AddressGuard(['10.1.0.0/16', 'fd00::/64'])
  for (const address of ['10.1.2.3', '::ffff:10.1.2.3', 'fd00::7']) {
    for (const protocol of ['http:', 'https:']) t.doesNotThrow(() => guard.check(protocol, address), address)
  }
  for (const address of ['10.2.0.1', 'fd00:0:0:1::7', '::ffff:10.2.0.1']) {
    t.throws(() => guard.check('https:', address), /is not on the public internet/, address)
  }
})

await t.test('a host that is an address in disguise is seen through', async t => {
  const guard = new AddressGuard([], async host => {
    throw new Error(`nobody is asked for ${host}`)
  })
  for (const host of [
    '127.0.0.1',
    '2130706433',
    '0x7f.1',
    '017700000001',
    '127.1',
    '[::1]',
    '[::ffff:7f00:1]',
    '１２７.0.0.1',
  ]) {
    await t.rejects(guard.addressesOf(new URL(`https://${host}/`)), { name: 'AddressRefused' }, host)
  }
})

await t.test('one private address among those of a name is enough to refuse it', async t => {
  const addresses = [
    { address: '93.184.216.34', family: 4 },
    { address: '10.0.0.1', family: 4 },
  ]
  const guard = new AddressGuard([], async () => addresses)
  await t.rejects(guard.addressesOf(new URL('https://example.com/')), /10\.0\.0\.1 is not on the public internet/)
  addresses.pop()
  t.strictSame(await guard.addressesOf(new URL('https://example.com/')), addresses)
})
