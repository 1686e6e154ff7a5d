import { t } from 'tap'

type Callback = () => Promise<void>

/** Grants a lock when it is told to, also after the request was aborted: as a browser does that had granted it before. */
const granted: Callback[] = []
const locks = {
  request: (_name: string, _options: object, callback: Callback) =>
    new Promise<void>(resolve => {
      granted.push(() => callback().then(resolve))
    }),
}
Object.defineProperty(globalThis, 'navigator', { value: { locks }, configurable: true })
const { hold } = await import('#client/sharing/locks.js')

await t.test('a lock is held until it is aborted', async t => {
  const turn = new AbortController()
  const held = hold('a', turn.signal)
  const released = granted.pop()!()
  await held
  t.equal(await Promise.race([released.then(() => 'released'), Promise.resolve('held')]), 'held')
  turn.abort()
  await released
})

await t.test('a lock that comes when it was aborted already is given back', async () => {
  const turn = new AbortController()
  void hold('b', turn.signal)
  turn.abort()
  await granted.pop()!()
})
