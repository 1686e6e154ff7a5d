import { t } from 'tap'
import { valid } from '../contract/node.ts'
import { Pace } from '../../src/hub/pace.ts'
import { parseSiteId } from '../../src/protocol/ids.ts'

const acme = valid(parseSiteId('acme'))
const globex = valid(parseSiteId('globex'))

await t.test('few clients may ask within a second, many within 20 ms for each, and a minute at most', async t => {
  t.equal(new Pace().within(acme, 1, 0), 1000)
  t.equal(new Pace().within(acme, 50, 0), 1000)
  t.equal(new Pace().within(acme, 500, 0), 10_000)
  t.equal(new Pace().within(acme, 1_000_000, 0), 60_000)
})

await t.test('who comes later asks behind those who came before, as long as they may still ask', async t => {
  const pace = new Pace()
  for (let i = 0; i < 499; i++) pace.within(acme, 1, 0)
  t.equal(pace.within(acme, 1, 0), 10_000)
  t.equal(pace.within(acme, 1, 5000), 5020)
  t.equal(pace.within(acme, 1, 60_000), 1000)
})

await t.test('a site does not wait for another', async t => {
  const pace = new Pace()
  pace.within(acme, 1000, 0)
  t.equal(pace.within(globex, 1, 0), 1000)
})

await t.test('a sweep forgets only what has ended', async t => {
  const pace = new Pace()
  pace.within(acme, 500, 0)
  pace.sweep(9000)
  t.equal(pace.within(acme, 1, 9000), 1020)
})
