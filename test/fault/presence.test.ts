/** No view of who is where is wrong for ever, whatever dies or is restarted (DESIGN §9). */
import t from 'tap'
import { Client, type Frame } from '../support/client.ts'
import { Chance, SEED } from '../support/random.ts'
import { startRedis } from '../support/redis.ts'
import { type Relay, Site, startRelay } from '../support/relay.ts'
import { until } from '../support/until.ts'

t.setTimeout(300_000)

const THREADS = ['t1', 't2', 't3']
const PEOPLE = 12
const NODES = 3
const SECONDS = 20
const ALL = Object.fromEntries(THREADS.map(thread => [thread, ['read', 'presence']]))

const acme = new Site('acme')
const chance = new Chance(SEED)

/** A tab of a person: what it is subscribed to, and who it was told is there. */
class Tab {
  readonly user: string
  readonly node: Relay
  readonly client: Client
  readonly threads = new Map<string, Set<string>>()
  #read = 0

  private constructor(user: string, node: Relay, client: Client) {
    this.user = user
    this.node = node
    this.client = client
  }

  static async open(user: string, node: Relay): Promise<Tab> {
    return new Tab(user, node, await Client.connect(t, node, acme.user(user, ALL, { watch: true })))
  }

  get alive(): boolean {
    return this.client.closed === undefined
  }

  async join(thread: string): Promise<void> {
    const answer = await this.client.ask('subscribe', { threads: [thread], presence: true })
    this.read()
    // A node that cannot know it now shows it later, as changes.
    const { members = [] } = (answer['presence'] as Record<string, { members?: { user: string }[] }>)[thread] ?? {}
    this.threads.set(thread, new Set(members.map(({ user }) => user)))
    for (const frame of this.client.frames.slice(this.client.frames.indexOf(answer) + 1)) this.#apply(frame)
  }

  async leave(thread: string): Promise<void> {
    await this.client.ask('unsubscribe', { threads: [thread] })
    this.threads.delete(thread)
  }

  /** Takes in what has come since. */
  read(): void {
    for (const frame of this.client.frames.slice(this.#read)) this.#apply(frame)
    this.#read = this.client.frames.length
  }

  #apply({ op, id, thread, joined, left }: Frame): void {
    const members = op === 'presence' && id === undefined ? this.threads.get(thread as string) : undefined
    if (members === undefined) return
    for (const { user } of joined as { user: string }[]) members.add(user)
    for (const user of left as string[]) members.delete(user)
  }
}

await t.test(`after kills, restarts and an emptied Redis every view is the truth again (SEED=${SEED})`, async t => {
  const redis = await startRedis(t)
  const start = (): Promise<Relay> =>
    startRelay(t, acme.entry(), { THROUGHLINE_BUS: redis.url, THROUGHLINE_DRAIN_SECONDS: '1' })
  const nodes = await Promise.all(Array.from({ length: NODES }, start))
  let tabs: Tab[] = []
  const steps: string[] = []

  const step = async (): Promise<void> => {
    tabs = tabs.filter(({ alive }) => alive)
    const tab = tabs.length === 0 ? undefined : chance.pick(tabs)
    const roll = chance.part()
    const thread = chance.pick(THREADS)
    if (tab === undefined || (roll < 0.35 && tabs.length < 2 * PEOPLE)) {
      const user = `u${chance.below(PEOPLE)}`
      const index = chance.below(NODES)
      steps.push(`${user} comes to node ${index}`)
      tabs.push(await Tab.open(user, nodes[index]!))
    } else if (roll < 0.7) {
      if (tab.threads.has(thread)) await tab.leave(thread)
      else await tab.join(thread)
      steps.push(`${tab.user} in or out of ${thread}`)
    } else {
      steps.push(`${tab.user} goes`)
      if (roll < 0.85) tab.client.socket.close()
      else tab.client.socket.terminate()
      await tab.client.expectClose()
    }
  }

  const harm = async (): Promise<void> => {
    const roll = chance.part()
    const index = chance.below(NODES)
    if (roll < 0.5) {
      const signal = roll < 0.3 ? 'SIGKILL' : 'SIGTERM'
      steps.push(`${signal} to node ${index}`)
      nodes[index]!.kill(signal)
      nodes[index] = await start()
    } else if (roll < 0.75) {
      steps.push('Redis restarts empty')
      await redis.restart()
    } else {
      steps.push('Redis is emptied')
      await redis.cli('FLUSHALL')
    }
  }

  const end = Date.now() + SECONDS * 1000
  while (Date.now() < end) {
    // What a step was waiting for may be gone with its node.
    for (let i = 0; i < 15; i++)
      await step().catch((error: unknown) => steps.push(`failed: ${String(error).slice(0, 80)}`))
    await harm()
  }
  for (let i = 0; i < 10; i++) await step().catch(() => undefined)
  tabs = tabs.filter(({ alive }) => alive)
  // A pair on each node that looks at everything, so that no view goes unchecked.
  for (const [i, node] of nodes.entries()) {
    await until(async () => ((await (await fetch(`${node.admin}/readyz`)).json()) as { bus: string }).bus === 'up', {
      what: `node ${i} to be up`,
    })
    const tab = await Tab.open(`w${i}`, node)
    for (const thread of THREADS) await tab.join(thread)
    tabs.push(tab)
  }

  const truth = (thread: string): string =>
    [...new Set(tabs.filter(tab => tab.alive && tab.threads.has(thread)).map(({ user }) => user))].toSorted().join()
  const wrong = async (): Promise<string[]> => {
    const found: string[] = []
    for (const tab of tabs) {
      tab.read()
      for (const [thread, members] of tab.threads) {
        const seen = [...members].toSorted().join()
        if (tab.alive && seen !== truth(thread))
          found.push(`${tab.user} sees in ${thread} ${seen}, true is ${truth(thread)}`)
      }
    }
    for (const [i, { api }] of nodes.entries()) {
      for (const thread of THREADS) {
        const headers = { authorization: `Bearer ${acme.server()}` }
        const { members } = (await (await fetch(`${api}/v1/threads/${thread}/presence`, { headers })).json()) as {
          members?: { user: string }[]
        }
        const seen = members
          ?.map(({ user }) => user)
          .toSorted()
          .join()
        if (seen !== truth(thread)) found.push(`node ${i} says of ${thread} ${seen}, true is ${truth(thread)}`)
      }
    }
    return found
  }
  let found: string[] = []
  await until(
    async () => {
      found = await wrong()
      return found.length === 0
    },
    { ms: 40_000, what: () => `the truth everywhere; ${found.join('; ')}\n${steps.slice(-60).join('\n')}` },
  )
  t.comment(`${steps.length} steps, ${tabs.length} tabs at the end, every view is the truth`)
  t.ok(tabs.some(({ threads }) => threads.size > 0))
})
