/**
 * Nodes made of the relay's own parts (RedisBus, Hub, join), clients that follow docs/protocol.md, an origin with an outbox,
 * and a scripted Redis between them, all in virtual time. Each step is one thing that may happen. A network that is parted,
 * so that two primaries take events at once, is not among them: no client can tell then what it lacks.
 */
import type { Log } from '../../src/observe/log.ts'
import type { Chance } from '../support/random.ts'
import { Client, Origin } from './client.ts'
import { CHAINS, Node } from './node.ts'
import { type Line, Server } from './scripted-redis.ts'
import { settled, type VirtualTime } from './virtual-time.ts'

const SKEW = 500_000
const ACTS = 40
/** Longer than heads are remembered. */
const WEEK = 7.5 * 86_400_000

export class World {
  readonly clients: readonly Client[]
  readonly #origin: Origin
  readonly #time: VirtualTime
  readonly #chance: Chance
  readonly #nodes: Node[] = []
  #primary: Server
  #lost = false
  #copies: ReturnType<Server['copy']>[] = []
  /** How likely each act is in this world, times its weight: worlds that differ find more than worlds that have all alike. */
  readonly #swarm: readonly number[]
  /** Everything that happened, for who has to find out why. */
  readonly steps: string[] = []
  /** What the relay itself calls a fault of its own. */
  readonly faults: string[] = []

  readonly #note = (facts: object, message: string): void =>
    void this.steps.push(`  log: ${message} ${JSON.stringify(facts)}`)
  readonly #log: Log = {
    debug: () => {},
    info: this.#note,
    warn: this.#note,
    error: (facts, message) => this.faults.push(`${message} ${JSON.stringify(facts)}`),
  }

  constructor(time: VirtualTime, chance: Chance) {
    this.#origin = new Origin(this.steps)
    this.#time = time
    this.#chance = chance
    this.#primary = this.#server()
    this.#swarm = Array.from({ length: ACTS }, () => chance.pick([0, 0.3, 1, 1, 3]))
    for (let i = 2 + chance.below(2); i > 0; i--) this.#start()
    this.clients = Array.from(
      { length: 2 + chance.below(3) },
      (_, i) => new Client(String(i), this.#origin, this.steps),
    )
  }

  /** One thing that may happen, or less often a fault. */
  async step(): Promise<void> {
    const chance = this.#chance
    const node = chance.pick(this.#nodes)
    const client = chance.pick(this.clients)
    const chain = chance.pick(CHAINS)
    const which = this.#nodes.indexOf(node)
    const acts: readonly (readonly [weight: number, name: string, act: () => unknown])[] = [
      [12, `save in ${chain}`, () => this.#origin.save(chain)],
      [20, `publish in ${chain} through node ${which}`, () => this.#origin.publish(chain, node)],
      [30, `node ${which}: all gets through`, () => node.link.move()],
      [10, `node ${which}: a little gets through`, () => node.link.move(chance.below(4), chance.below(4))],
      [10, `client ${client.name} reads all`, () => client.read(Infinity)],
      [6, `client ${client.name} reads a little`, () => client.read(1 + chance.below(2))],
      [6, `client ${client.name} connects to node ${which}`, () => client.connect(node)],
      [3, `client ${client.name} drops`, () => client.drop()],
      [8, `client ${client.name} asks`, () => client.ask()],
      [8, `client ${client.name} is answered`, () => client.hear(false)],
      [1, `the question of client ${client.name} fails`, () => client.hear(true)],
      [12, 'all goes well for a while', () => this.#well(3)],
      [6, 'all goes well for a longer while', () => this.#well(12)],
      [10, 'a moment passes', () => this.#time.pass(chance.below(300))],
      [6, 'seconds pass', () => this.#time.pass(chance.below(4000))],
      [0.2, 'a week passes', () => this.#aWeek()],
      [3, `node ${which}: links are cut`, () => node.link.reconnect()],
      [1, `node ${which}: one link is cut`, () => node.link.lines[0]?.cut()],
      [1, `node ${which}: links go silent`, () => node.link.lines.forEach(line => (line.silent = true))],
      [0.7, `node ${which}: the subscriber goes silent`, () => silence(node.link.subscriber)],
      [1, `node ${which}: a message comes twice`, () => twice(node.link.subscriber)],
      [1, `node ${which}: two messages change places`, () => swap(node.link.subscriber)],
      [1, `node ${which}: a message is lost`, () => this.#lose(node.link.subscriber)],
      [0.7, `node ${which} dies, another starts`, () => this.#replace(node)],
      [3, 'a copy is taken of Redis', () => this.#copy()],
      [2, `client ${client.name} drops, and a copy is taken of Redis`, () => (client.drop(), this.#copy())],
      [0.7, 'Redis is paused', () => this.#primary.pause()],
      [3, 'Redis goes on', () => this.#primary.resume()],
      [0.7, 'Redis restarts as it was', () => this.#exchange(this.#primary.copy())],
      [0.5, 'Redis restarts empty', () => this.#exchange()],
      [0.5, 'Redis is emptied', () => this.#primary.flush()],
      [1.5, 'Redis restarts from a copy', () => this.#exchange(chance.pick(this.#copies))],
    ]
    const weightOf = (index: number): number => acts[index]![0] * this.#swarm[index]!
    let at = chance.part() * acts.reduce((sum, _, index) => sum + weightOf(index), 0)
    const [, name, act] = acts.find((_, index) => (at -= weightOf(index)) < 0)!
    this.steps.push(name)
    await act()
    await settled()
  }

  /** Begins with nodes that are up and clients that are whole. */
  async begin(): Promise<void> {
    for (const client of this.clients) client.connect(this.#chance.pick(this.#nodes))
    await this.#well(12)
  }

  /** Everything heals, and enough time passes for the relay to notice all that was. Returns what is wrong then. */
  async heal(): Promise<string | undefined> {
    this.#primary.resume()
    // Of a message that was lost nobody knows until the next one.
    if (this.#lost) for (const chain of CHAINS) this.#origin.save(chain)
    for (let rounds = 0; rounds < 10; rounds++) {
      for (const client of this.clients) if (client.socket === undefined) client.connect(this.#chance.pick(this.#nodes))
      this.#time.pass(2500)
      await this.#well(4)
    }
    if (!this.#origin.done) return 'not all was published'
    if (!this.#nodes.every(({ bus }) => bus.up)) return 'a bus stayed down'
    const misplaced = this.clients.map(client => client.misplaced).find(wrong => wrong !== undefined)
    if (misplaced !== undefined) return misplaced
    if (this.faults.length > 0) return this.faults[0]
    return this.clients.flatMap(client => CHAINS.map(chain => client.wrong(chain))).find(wrong => wrong !== undefined)
  }

  end(): void {
    for (const client of this.clients) client.drop()
    for (const node of this.#nodes) node.end()
  }

  /** Lets everything through for so many rounds. */
  async #well(rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      this.#time.pass(100)
      for (const chain of CHAINS) this.#origin.publish(chain, this.#chance.pick(this.#nodes))
      for (const node of this.#nodes) node.link.move()
      await settled()
      for (const client of this.clients) {
        client.read(Infinity)
        client.ask()
        client.hear(false)
      }
    }
  }

  /** Lets a week pass in which nothing happens. A node that was cut off for a week would know. */
  async #aWeek(): Promise<void> {
    // Half-open links are noticed first.
    for (let rounds = 0; rounds < 5; rounds++) {
      this.#time.pass(2500)
      await this.#well(4)
    }
    if (this.#nodes.every(({ bus }) => bus.up)) this.#time.skip(WEEK)
  }

  #server(memory?: ReturnType<Server['copy']>): Server {
    return new Server(this.#time, Math.round((this.#chance.part() * 2 - 1) * SKEW), memory)
  }

  #lose(line: Line | undefined): void {
    if (line?.inbox.shift() !== undefined) this.#lost = true
  }

  /** Remembers what Redis has now; old copies are forgotten. */
  #copy(): void {
    this.#copies = [this.#primary.copy(), ...this.#copies].slice(0, 2)
  }

  #start(): void {
    this.#nodes.push(new Node(this.#time, () => this.#primary, this.#log))
  }

  #replace(node: Node): void {
    node.end()
    this.#nodes.splice(this.#nodes.indexOf(node), 1)
    this.#start()
  }

  #exchange(memory?: ReturnType<Server['copy']>): void {
    const old = this.#primary
    this.#primary = this.#server(memory)
    old.stop()
  }
}

// What Redis never does on one connection: the relay is to bear it all the same.
function twice(line: Line | undefined): void {
  const first = line?.inbox[0]
  if (first !== undefined && 'channel' in first) line!.inbox.unshift(first)
}

function swap(line: Line | undefined): void {
  const [first, second] = line?.inbox ?? []
  if (first !== undefined && second !== undefined) line!.inbox.splice(0, 2, second, first)
}

function silence(line: Line | undefined): void {
  if (line !== undefined) line.silent = true
}
