/** A laptop that sleeps, and a page that the browser freezes, for longer than a link may be silent. */
import { type Test, t } from 'tap'
import { openScene, type Tab } from '../../support/tabs.ts'
import { until } from '../../support/until.ts'
import { FakeRelay } from '../fake-relay.ts'

t.setTimeout(300_000)

const HEARTBEAT_S = 5
const BEAT_MS = 1000
const SHARES = ['worker', 'leader', 'none'] as const

const scene = await openScene(t)
const { origin, context } = scene
const browser = await context.browser()!.newBrowserCDPSession()
let users = 300

interface Peer {
  readonly relay: FakeRelay
  readonly tab: Tab
  readonly beats: { sent: number; isOn: boolean }
}

/** Opens a tab that follows a relay of its own, which beats until it is told not to. */
async function openPeer(t: Test, share: (typeof SHARES)[number]): Promise<Peer> {
  const relay = await FakeRelay.open(t)
  relay.heartbeat = HEARTBEAT_S
  const beats = { sent: 0, isOn: true }
  const timer = setInterval(() => {
    if (!beats.isOn) return
    relay.say({ op: 'ping' })
    beats.sent++
  }, BEAT_MS)
  t.teardown(() => clearInterval(timer))
  const tab = await scene.open({ share, user: String(++users), url: relay.url, pollSeconds: 60 })
  await tab.live()
  return { relay, tab, beats }
}

/** Waits for so many beats, which is time on the relay's clock. */
async function beaten({ beats }: Peer, count: number): Promise<void> {
  const end = beats.sent + count
  await until(() => beats.sent >= end, { ms: 60_000, what: `${count} beats` })
}

const ASLEEP_BEATS = (HEARTBEAT_S * 2.5 * 1000) / BEAT_MS + 2

/** Stops all pages and workers, whose sockets the browser holds open meanwhile. */
async function sleep(clock: Peer): Promise<void> {
  const { processInfo } = await browser.send('SystemInfo.getProcessInfo')
  const renderers = processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => id)
  for (const id of renderers) process.kill(id, 'SIGSTOP')
  try {
    await beaten(clock, ASLEEP_BEATS)
  } finally {
    for (const id of renderers) process.kill(id, 'SIGCONT')
  }
}

async function freeze({ page }: Tab): Promise<() => Promise<unknown>> {
  const cdp = await context.newCDPSession(page)
  await cdp.send('Page.setWebLifecycleState', { state: 'frozen' })
  return () => cdp.send('Page.setWebLifecycleState', { state: 'active' })
}

await t.test(
  'after a sleep dead links are noticed and frozen pages whole again, and a link that held is kept',
  async t => {
    const open = (): Promise<Peer[]> => Promise.all(SHARES.map(share => openPeer(t, share)))
    const frozen = await open()
    const dead = await open()
    const alive = await open()
    const whole = async ({ tab }: Peer): Promise<void> => {
      t.same(await tab.ids(origin.ids('thread:1').length), origin.ids('thread:1'))
    }
    for (const peer of frozen) await until(() => peer.tab.page.evaluate('document.hidden'), { what: 'a hidden page' })
    const asked = origin.questions.length

    const thaws = await Promise.all(frozen.map(({ tab }) => freeze(tab)))
    for (const { relay } of frozen) await until(() => relay.sockets === 0, { what: 'a frozen page to leave' })
    for (const { beats } of dead) beats.isOn = false
    origin.save('thread:1', 'while they sleep')
    for (const { relay } of [...frozen, ...dead]) relay.head++
    await sleep(alive[0]!)
    for (const thaw of thaws) await thaw()

    for (const peer of [...frozen, ...dead]) {
      await until(() => peer.relay.opened.length === 2, { what: 'another connection' })
      peer.beats.isOn = true
      await peer.tab.live('c1')
      await whole(peer)
    }
    t.equal(origin.questions.length - asked, frozen.length + dead.length, 'one question each')
    // Longer than a dead link would be taken for a live one.
    await beaten(alive[0]!, 7)
    for (const { relay, tab } of alive) {
      const typing = {
        op: 'event',
        id: 'e1',
        type: 'typing',
        thread: '1',
        at: 1,
        sender: { user: '8', connection: 'c' },
      }
      relay.say(typing)
      const isGiven = async (): Promise<boolean> => (await tab.seen()).events.some(({ type }) => type === 'typing')
      await until(isGiven, { what: 'an event over the connection of before' })
      t.match(await tab.seen(), { connection: 'c1', states: ['catching-up', 'live'] })
      t.equal(relay.opened.length, 1)
    }
    t.equal(origin.questions.length - asked, frozen.length + dead.length, 'and none where nothing was')
    for (const { tab } of [...frozen, ...dead, ...alive]) t.same((await tab.seen()).errors, [])
    for (const page of context.pages()) await page.close()
  },
)
