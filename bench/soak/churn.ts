/** What clients and origins do all day, in the wrong order and with much that is wrong: see the table of deeds. */
import { sleep } from '../lib/turns.ts'
import { SITE, sign } from '../peers/throughline.ts'
import type { Chance } from '../lib/chance.ts'
import { Origin } from './origin.ts'
import { Tab } from './tab.ts'
import type { Tally } from './tally.ts'
import { NONSENSE, WRONG_CALLS } from './wrong.ts'

export interface ChurnOptions {
  readonly nodes: readonly { readonly socketPort: number; readonly apiPort: number }[]
  readonly secret: Buffer
  readonly chance: Chance
  readonly tally: Tally
}

const USERS = names('u', 200)
const THREADS = names('t', 80)
const THREADS_OF_USER = 12
const TABS = 240
const SILENT = 4
const STEP_MS = 50
const FLOOD = { events: 15, bytes: 60_000 }

export class Churn {
  readonly #options: ChurnOptions
  readonly #origin: Origin
  #tabs: Tab[] = []
  /** Tabs that do nothing more, and read nothing. */
  #silent: Tab[] = []
  #ids = 0

  constructor(options: ChurnOptions) {
    this.#options = options
    this.#origin = new Origin(options.secret, options.tally)
  }

  /** Does so many deeds a second, spread evenly. */
  async run(seconds: number, perSecond: number): Promise<void> {
    const start = performance.now()
    for (let done = 0; done < seconds * perSecond; await sleep(STEP_MS)) {
      const due = Math.min(((performance.now() - start) / 1000) * perSecond, seconds * perSecond)
      for (; done < due; done++) this.#deed()
    }
  }

  /** Everybody leaves, each in his way. */
  async leave(): Promise<void> {
    for (const tab of this.#tabs) {
      if (this.#options.chance.is(0.5)) tab.close()
      else tab.terminate()
    }
    for (const tab of this.#silent) tab.terminate()
    await this.#origin.leave()
  }

  #deed(): void {
    const { chance, tally } = this.#options
    let roll = chance.below(ALL_WEIGHTS)
    const [, name, act] = DEEDS.find(([weight]) => (roll -= weight) < 0)!
    if (this.#tabs.some(tab => tab.ended)) this.#tabs = this.#tabs.filter(tab => !tab.ended)
    // There are always tabs enough: who comes is made up for by who goes.
    if (this.#tabs.length < TABS / 2) this.come()
    tally.add(name)
    act(this, chance.pick(this.#tabs), chance)
  }

  // What follows are the deeds: each is done to, or by, a tab that is there.

  come(): void {
    if (this.#tabs.length >= TABS) return
    const user = this.#options.chance.pick(USERS)
    this.#tabs.push(this.#open(user, { op: 'connect', token: this.#token(user), since: { user: 1 } }))
  }

  /** Who never says who it is, or says it wrong. */
  stranger(): void {
    const greeting = this.#options.chance.is(0.5) ? undefined : { op: 'connect', token: 'none' }
    this.#tabs.push(this.#open('stranger', greeting))
  }

  go(tab: Tab): void {
    if (this.#options.chance.is(0.6)) tab.close()
    else tab.terminate()
    this.#tabs = this.#tabs.filter(other => other !== tab)
  }

  fallSilent(tab: Tab): void {
    tab.fallSilent()
    this.#tabs = this.#tabs.filter(other => other !== tab)
    if (this.#silent.push(tab) > SILENT) this.#silent.shift()!.terminate()
  }

  subscribe(tab: Tab): void {
    const { chance } = this.#options
    const threads = chance.is(0.9) ? chance.some(threadsOf(tab.user), 4) : chance.some(THREADS, 4)
    for (const thread of threads) tab.threads.add(thread)
    tab.tell({ op: 'subscribe', threads, presence: chance.is(0.5), since: { [`thread:${threads[0]!}`]: 1 } })
  }

  unsubscribe(tab: Tab): void {
    const threads = this.#options.chance.some([...tab.threads, 't0'], 3)
    for (const thread of threads) tab.threads.delete(thread)
    tab.tell({ op: 'unsubscribe', threads })
  }

  send(tab: Tab): void {
    const { chance } = this.#options
    const to = chance.pick([undefined, { user: chance.pick(USERS) }, { connection: this.#somebody() }])
    tab.tell({
      op: 'send',
      thread: chance.pick([...tab.threads, chance.pick(threadsOf(tab.user))]),
      type: 'typing',
      data: { typing: true },
      to,
    })
  }

  /** A token that lasts, one that ends soon, or none at all. The relay is 30 s late to end what has ended. */
  refresh(tab: Tab): void {
    const token = this.#options.chance.is(0.9) ? this.#token(tab.user) : 'none'
    tab.tell({ op: 'refresh', token })
  }

  publish(to: object, thread?: string): void {
    const { chance } = this.#options
    this.#call('/v1/publish', this.#event(to, { thread, receipt_to: chance.is(0.3) ? chance.pick(USERS) : undefined }))
  }

  batch(): void {
    const { chance } = this.#options
    const events = THREADS.slice(0, 5).map(() => this.#event({ thread: chance.pick(THREADS) }, {}))
    this.#call('/v1/publish/batch', { events })
  }

  /** More than waits for a client that does not read, so that the relay has to end it. */
  flood(): void {
    const [oldest] = this.#silent
    if (oldest === undefined) return
    const event = { to: { users: [oldest.user] }, type: 'flood', data: 'x'.repeat(FLOOD.bytes) }
    this.#call('/v1/publish/batch', { events: Array.from({ length: FLOOD.events }, () => event) })
  }

  chains(path: string): void {
    const { chance } = this.#options
    this.#call(path, { chains: [...chance.some(THREADS, 3).map(id => `thread:${id}`), 'user:u1'] })
  }

  look(): void {
    const { chance } = this.#options
    this.#origin.call(this.#port(), `/v1/threads/${chance.pick(THREADS)}/presence`, { method: 'GET' })
    this.#call('/v1/presence/online', { users: chance.some(USERS, 5) })
  }

  members(): void {
    const { chance } = this.#options
    const [one = '', ...others] = chance.some(USERS, 3)
    this.#call(`/v1/threads/${chance.pick(THREADS)}/members`, { add: { [one]: ['read', 'send'] }, remove: others })
  }

  disconnect(): void {
    const { chance } = this.#options
    this.#call(`/v1/users/${chance.pick(USERS)}/disconnect`, { revoke: chance.is(0.5) })
  }

  wrongCall(): void {
    const [path, call] = this.#options.chance.pick(WRONG_CALLS)
    this.#origin.call(this.#port(), path, call)
  }

  halfCall(): void {
    this.#origin.half(this.#port(), this.#options.chance.is(0.7))
  }

  #open(user: string, greeting?: object): Tab {
    const { nodes, chance, tally } = this.#options
    return new Tab(chance.pick(nodes).socketPort, user, tally, greeting)
  }

  #token(user: string): string {
    const { chance, secret } = this.#options
    const now = Math.floor(Date.now() / 1000)
    const times = chance.is(0.8) ? {} : { iat: now - 60, exp: now - 27 + chance.below(10) }
    const threads = Object.fromEntries(threadsOf(user).map(thread => [thread, ['read', 'send', 'presence']]))
    const info = chance.is(0.5) ? { name: user } : undefined
    return sign(secret, { aud: 'throughline', sub: user, threads, watch: chance.is(0.8) || ['u1'], info, ...times })
  }

  #event(to: object, more: object): object {
    const { chance } = this.#options
    // An id is remembered for 5 minutes: few, so that this does not look like a leak.
    const id = chance.is(0.1) ? `m${chance.is(0.5) ? this.#ids : this.#ids++}` : undefined
    const except = chance.is(0.2) ? this.#somebody() : undefined
    const data = { text: 'x'.repeat(chance.below(500)) }
    return { to, type: 'message', data, id, except, ephemeral: chance.is(0.1) || undefined, ...more }
  }

  #call(path: string, body: object): void {
    this.#origin.call(this.#port(), path, { body })
  }

  #port(): number {
    return this.#options.chance.pick(this.#options.nodes).apiPort
  }

  #somebody(): string {
    return this.#options.chance.pick(this.#tabs)?.connection ?? `${SITE}.0`
  }
}

type Act = (churn: Churn, tab: Tab, chance: Chance) => void

const DEEDS: readonly [weight: number, name: string, act: Act][] = [
  [140, 'tab comes', churn => churn.come()],
  [100, 'tab goes', (churn, tab) => churn.go(tab)],
  [1, 'tab stops reading', (churn, tab) => churn.fallSilent(tab)],
  [10, 'stranger comes', churn => churn.stranger()],
  [140, 'subscribe', (churn, tab) => churn.subscribe(tab)],
  [80, 'unsubscribe', (churn, tab) => churn.unsubscribe(tab)],
  [120, 'send', (churn, tab) => churn.send(tab)],
  [60, 'receipt', (_, tab) => tab.tell({ op: 'receipt', receipts: ['forged', ...tab.receipts.splice(0, 50)] })],
  [40, 'watch', (_, tab, chance) => tab.tell({ op: 'watch', users: chance.some(USERS, 5) })],
  [30, 'unwatch', (_, tab, chance) => tab.tell({ op: 'unwatch', users: chance.some(USERS, 5) })],
  [30, 'ask for presence', (_, tab, chance) => tab.tell({ op: 'presence', thread: chance.pick(threadsOf(tab.user)) })],
  [40, 'refresh', (churn, tab) => churn.refresh(tab)],
  [20, 'nonsense', (_, tab, chance) => tab.tell(chance.pick(NONSENSE))],
  [120, 'publish to a thread', (churn, _, chance) => churn.publish({ thread: chance.pick(THREADS) })],
  [40, 'publish to users', (churn, _, chance) => churn.publish({ users: chance.some(USERS, 5) }, 't1')],
  [5, 'publish to the site', churn => churn.publish({ site: true })],
  [10, 'publish a batch', churn => churn.batch()],
  [10, 'flood who does not read', churn => churn.flood()],
  [10, 'read heads', churn => churn.chains('/v1/heads')],
  [4, 'tell a gap', churn => churn.chains('/v1/gaps')],
  [20, 'look who is there', churn => churn.look()],
  [20, 'change members', churn => churn.members()],
  [15, 'disconnect a user', churn => churn.disconnect()],
  [30, 'wrong call', churn => churn.wrongCall()],
  [10, 'half a call', churn => churn.halfCall()],
]
const ALL_WEIGHTS = DEEDS.reduce((sum, [weight]) => sum + weight, 0)

function names(letter: string, n: number): string[] {
  return Array.from({ length: n }, (_, i) => letter + i)
}

/** The threads that a user's tokens name: the same ones always, each shared with others. */
function threadsOf(user: string): string[] {
  const first = Number(user.slice(1)) || 0
  return Array.from({ length: THREADS_OF_USER }, (_, i) => THREADS[(first * 5 + i * 7) % THREADS.length]!)
}
