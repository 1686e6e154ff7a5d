import type { Test } from 'tap'
import { CheckingClient } from './checking-client.ts'
import type { Cause } from './follower.ts'
import { Origin } from './origin.ts'
import { Chance, SEED } from './random.ts'
import { type Entrance, type Relay, Site, startRelay } from './relay.ts'
import { until } from './until.ts'

export interface SceneOptions {
  /** The bus of each node that the scene starts. */
  readonly buses: readonly string[]
  /** What stands before nodes that others have started. */
  readonly proxy?: Entrance
  readonly site?: Site
  readonly environment?: Record<string, string>
  readonly clients?: number
}

const THREADS = ['t1', 't2', 't3', 't4', 't5', 't6']
const THREADS_EACH = 3
const CLIENTS = 12
const TURN = 50
const HEALS_WITHIN = 30_000

/** What became of all events at all clients. */
export interface Account {
  readonly published: number
  readonly received: number
  readonly fetched: number
  readonly missing: number
  readonly doubled: number
  readonly unordered: number
  /** Connections that ended though nobody had asked for it. */
  readonly dropped: number
  readonly questions: number
  readonly needless: number
}

/** Nodes, an origin that publishes all the time, and clients that keep an account: a fault is put into the middle. */
export class Scene {
  readonly site: Site
  /** Those that are up, as a load balancer would know. */
  readonly nodes: Relay[] = []
  readonly clients: readonly CheckingClient[]
  readonly origin: Origin
  readonly #t: Test
  readonly #options: SceneOptions
  readonly #chance = new Chance(SEED)
  readonly #started: Relay[] = []
  // Another each time, since a client that is asked to leave goes to another than it came from.
  readonly #entrances = (): readonly Entrance[] =>
    this.#options.proxy === undefined ? this.nodes : [{ ...this.#options.proxy }]
  #load: NodeJS.Timeout | undefined

  private constructor(t: Test, options: SceneOptions) {
    this.#t = t
    this.#options = options
    this.site = options.site ?? new Site('acme')
    this.origin = new Origin(this.site, this.#entrances, this.#chance)
    this.clients = Array.from({ length: options.clients ?? CLIENTS }, (_, i) => this.#client(`u${i}`))
    t.teardown(() => {
      this.rest()
      this.origin.close()
      for (const client of this.clients) client.leave(true)
    })
  }

  /** Starts the nodes and lets the clients connect. */
  static async open(t: Test, options: SceneOptions): Promise<Scene> {
    const scene = new Scene(t, options)
    const nodes = await Promise.all(options.buses.map(bus => scene.start(bus)))
    // In the order of their buses, whichever was ready first.
    scene.nodes.splice(0, nodes.length, ...nodes)
    for (const client of scene.clients) client.connect()
    await scene.quiet()
    return scene
  }

  /** Starts one more node. */
  async start(bus: string): Promise<Relay> {
    const environment = { THROUGHLINE_BUS: bus, ...this.#options.environment }
    const node = await startRelay(this.#t, this.site.entry(), environment)
    this.#started.push(node)
    this.nodes.push(node)
    void node.exit.then(() => this.drop(node))
    return node
  }

  /** Takes a node from the list: nobody is sent there any more. */
  drop(node: Relay): void {
    const index = this.nodes.indexOf(node)
    if (index >= 0) this.nodes.splice(index, 1)
  }

  /** Publishes from now on, to any chain at random. */
  load(perSecond = 40): void {
    const chains = [
      ...THREADS.map(thread => `thread:${thread}`),
      ...this.clients.map(({ user }) => `user:${user}`),
      'site',
    ]
    this.#load = setInterval(() => {
      for (let n = (perSecond * TURN) / 1000; n > 0; n--) this.origin.save(this.#chance.pick(chains))
    }, TURN)
  }

  /** Publishes nothing more. */
  rest(): void {
    clearInterval(this.#load)
  }

  /** Waits until so many more events were saved: the load's way to let time pass. */
  async saved(more: number): Promise<void> {
    const enough = this.origin.counts.saved + more
    await until(() => this.origin.counts.saved >= enough, { what: 'the load to go on' })
  }

  /** Waits until all that was saved is published, and no client is away or has a question. */
  async quiet(clients: readonly CheckingClient[] = this.clients): Promise<void> {
    await until(() => this.origin.counts.waiting === 0 && clients.every(({ quiet }) => quiet), {
      ms: HEALS_WITHIN,
      what: () => `quiet: ${this.#unrest()}`,
    })
  }

  /** Waits until the clients of these nodes, or of all, have been told so last. */
  async told(bus: 'up' | 'down', nodes: readonly Entrance[] = this.nodes): Promise<void> {
    const concerned = this.clients.filter(({ node }) => node !== undefined && nodes.includes(node))
    await until(() => concerned.every(({ statuses }) => statuses.at(-1) === bus), {
      ms: HEALS_WITHIN,
      what: () => `status ${bus}: ${concerned.map(({ statuses }) => statuses.at(-1)).join()}`,
    })
  }

  /**
   * Ends the load, waits until the account closes, and says what it is. It closes when each client has shown each event
   * of its chains; what it did not receive it was told to fetch, since it asks for no other reason.
   */
  async close(fault: string): Promise<Account> {
    const t = this.#t
    this.rest()
    const whole = (): boolean => this.clients.every(client => client.missing().length === 0)
    await this.quiet()
      .then(() => until(whole, { ms: HEALS_WITHIN, what: 'the account to close' }))
      .catch((error: unknown) => t.comment(error))
    const account = this.account()
    t.comment(`${fault}: ${this.#words(account)} (SEED=${SEED})`)
    t.match(account, { missing: 0, doubled: 0, unordered: 0 }, `the account closes: ${this.#unrest()}`)
    t.same(this.origin.faults, [], 'each publish is answered with 200, or with 503 and Retry-After, within 5 s')
    t.same(
      this.clients.flatMap(({ faults }) => faults),
      [],
      'no client is refused anything',
    )
    t.same(
      this.#started.flatMap(({ log }) => log.filter(isFault)),
      [],
      'no node reports a fault of its own',
    )
    await this.#oneMore()
    return account
  }

  account(): Account {
    const sum = (of: (client: CheckingClient) => number): number =>
      this.clients.reduce((total, client) => total + of(client), 0)
    // A first load asks whether there is something or not.
    const count = (questions: Record<Cause, number>): number =>
      questions.behind + questions.gap + questions.prev + questions.again
    return {
      published: this.origin.counts.saved - this.origin.counts.waiting,
      received: sum(client => client.counts.received),
      fetched: sum(client => client.counts.fetched),
      missing: sum(client => client.missing().length),
      doubled: sum(client => client.counts.doubled),
      unordered: sum(client => client.counts.unordered),
      dropped: sum(client => client.counts.dropped),
      questions: sum(client => count(client.questions)),
      needless: sum(client => count(client.needless)),
    }
  }

  /** After all has healed one more event comes to each client, in its place. */
  async #oneMore(): Promise<void> {
    const before = this.account()
    for (const chain of [...THREADS.map(thread => `thread:${thread}`), 'site']) this.origin.save(chain)
    const whole = (): boolean => this.clients.every(client => client.missing().length === 0)
    await this.quiet()
    await until(whole, { what: 'one more event to reach each client' })
    const { questions } = this.account()
    this.#t.comment(`one more event in each chain: ${questions - before.questions} questions`)
  }

  #words(account: Account): string {
    const { published, received, fetched, missing, doubled, unordered, questions, needless, dropped } = account
    const number = (n: number): string => n.toLocaleString('en')
    return [
      `${this.clients.length} clients, ${number(published)} events published, ${number(received)} received`,
      `${number(fetched)} fetched, ${missing} missing, ${doubled} doubled, ${unordered} out of order`,
      `${questions} questions, ${needless} of them needless, ${this.origin.refused} publishes refused, ${dropped} sockets dropped`,
    ].join(', ')
  }

  #unrest(): string {
    const restless = this.clients.flatMap(client => {
      const missing = client.missing()
      if (client.quiet && missing.length === 0) return []
      return [
        `${client.user}${client.quiet ? '' : ' asks or is away'}, lacks ${missing.slice(0, 5).join(' ') || 'none'}`,
      ]
    })
    return `${this.origin.counts.waiting} wait to be published; ${restless.join('; ')}`
  }

  #client(user: string): CheckingClient {
    const from = this.#chance.below(THREADS.length)
    const threads = Array.from({ length: THREADS_EACH }, (_, i) => THREADS[(from + i) % THREADS.length]!)
    const token = this.site.user(user, Object.fromEntries(threads.map(thread => [thread, ['read']])))
    return new CheckingClient({
      user,
      token,
      threads,
      nodes: this.#entrances,
      origin: this.origin,
      chance: this.#chance,
    })
  }
}

/** Whether a line of the log tells of an error; what is no JSON came from a process that broke. */
function isFault(line: string): boolean {
  try {
    return (JSON.parse(line) as { level: number }).level >= 50
  } catch {
    return true
  }
}
