import t from 'tap'
import { openLimits } from './node.ts'

const peer = (network: string | undefined) => ({ address: network ?? '127.0.0.1', network })

await t.test('attempts of an address: ten seconds’ worth at once, then as they come back', async t => {
  const { limits, clock, refused } = openLimits(t)
  const { addresses } = limits
  for (let i = 0; i < 50; i++) t.equal(addresses.attempt(peer('192.0.2.1')), 0)
  t.equal(addresses.attempt(peer('192.0.2.1')), 1)
  t.equal(addresses.attempt(peer('192.0.2.2')), 0, 'another address has its own')
  clock.ms += 200
  t.equal(addresses.attempt(peer('192.0.2.1')), 0)
  t.equal(addresses.attempt(peer('192.0.2.1')), 1)
  t.strictSame(refused, ['attempts', 'attempts'])
})

await t.test('sockets that have not said who they are: three at a time', async t => {
  const { limits, refused } = openLimits(t)
  const { addresses } = limits
  const one = peer('192.0.2.1')
  for (let i = 0; i < 3; i++) {
    t.equal(addresses.attempt(one), 0)
    addresses.opened(one)
  }
  t.equal(addresses.attempt(one), 1)
  t.equal(addresses.attempt(peer('192.0.2.2')), 0)
  addresses.settled(one)
  t.equal(addresses.attempt(one), 0)
  t.strictSame(refused, ['unauthenticated'])
})

await t.test('who is exempt is neither counted nor kept in mind', async t => {
  const { limits } = openLimits(t)
  for (let i = 0; i < 1000; i++) {
    if (limits.addresses.attempt(peer(undefined)) !== 0) t.fail('refused')
    limits.addresses.opened(peer(undefined))
  }
  t.equal(limits.addresses.size, 0)
})

await t.test('the table is swept, and has an end', async t => {
  const { limits, clock } = openLimits(t)
  const { addresses } = limits
  const waiting = peer('192.0.2.1')
  addresses.attempt(waiting)
  addresses.opened(waiting)
  for (let i = 0; i < 200_000; i++)
    addresses.attempt(peer(`2001:db8:${(i >> 16).toString(16)}:${(i & 0xffff).toString(16)}::/64`))
  t.equal(addresses.size, 100_000)
  t.equal(addresses.attempt(peer('198.51.100.1')), 0, 'one that finds no room is let in')
  clock.ms += 200
  addresses.sweep(clock.ms)
  t.equal(addresses.size, 1, 'the one with an open socket')
  addresses.settled(waiting)
  addresses.sweep(clock.ms)
  t.equal(addresses.size, 0)
})
