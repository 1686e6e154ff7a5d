import { Registry } from 'prom-client'
import { t } from 'tap'
import { Counter } from '../../src/observe/counter.ts'

await t.test('counts by the values of a label', async t => {
  const registry = new Registry()
  const counter = new Counter('frames_total', 'Frames, by op', 'op', registry)
  counter.add(1, 'send')
  counter.add(0, 'never')
  counter.add(2, 'send')
  const text = await registry.metrics()
  t.match(text, '# HELP frames_total Frames, by op\n# TYPE frames_total counter\n')
  t.match(text, 'frames_total{op="send"} 3\n')
  t.match(text, 'frames_total{op="never"} 0\n')
})

await t.test('without a label there is one number, from the start', async t => {
  const registry = new Registry()
  const counter = new Counter('opened_total', 'Opened', undefined, registry)
  t.match(await registry.metrics(), 'opened_total 0\n')
  counter.add(5)
  t.match(await registry.metrics(), 'opened_total 5\n')
})
