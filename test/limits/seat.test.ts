import t from 'tap'
import { Seat } from '../../src/limits/seat.ts'
import { openLimits, refusal, site, user } from './node.ts'

const PEER = { address: '192.0.2.1', network: '192.0.2.1' }

await t.test('a seat is taken once, given up for another, and left when the socket closes', async t => {
  const { limits } = openLimits(t)
  const acme = site({ connections: 1 })
  const other = (): unknown => refusal(() => limits.connect(acme, user('2')))
  const seat = new Seat(limits, PEER)
  seat.take(acme, user('1'))
  seat.take(acme, user('1'))
  t.ok(other())
  seat.take(site({}, 'beta'), user('1'))
  t.equal(other(), undefined)
  limits.disconnect(acme.id, user('2'))
  seat.take(acme, user('1'))
  seat.release()
  seat.release()
  t.equal(other(), undefined)
})

await t.test('a socket that closed while its token was being verified takes no seat any more', async t => {
  const { limits } = openLimits(t)
  const acme = site({ connections: 1 })
  const seat = new Seat(limits, PEER)
  seat.release()
  seat.take(acme, user('1'))
  t.equal(
    refusal(() => limits.connect(acme, user('2'))),
    undefined,
  )
})

await t.test('an address is known, and counted, until it is known who it is', async t => {
  const { limits } = openLimits(t, undefined, { attemptsPerSecond: 100, unauthenticated: 1 })
  const attempt = (): number => limits.addresses.attempt(PEER)
  t.equal(attempt(), 0)
  const seat = new Seat(limits, PEER)
  t.equal(seat.address, '192.0.2.1')
  t.equal(attempt(), 1)
  seat.authenticated()
  t.equal(seat.address, undefined)
  t.equal(attempt(), 0)
  const second = new Seat(limits, PEER)
  t.equal(attempt(), 1)
  second.release()
  seat.release()
  t.equal(attempt(), 0)
})
