import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { backoff } from '../lib/backoff.ts'
import { after, type Cancel, systemClock } from '../lib/clock.ts'
import type { Log } from '../observe/log.ts'
import { lasting, type Numbers } from '../observe/numbers.ts'
import type { SiteRows } from '../observe/site-families.ts'
import { lostSites } from '../observe/sites.ts'
import { CannotStart, type StartFault } from './fault.ts'
import type { HttpAnswer } from '../protocol/http.ts'
import type { Answers, FromWorker, Steering, ToWorker } from './messages.ts'

export interface SeatOptions {
  /** 1 and up. */
  readonly worker: number
  readonly environment: NodeJS.ProcessEnv
  readonly log: Log
  /** Called with what a process that has ended leaves behind. */
  readonly left: (numbers: Numbers) => void
  /** Called with what a process had counted of sites and counts no more. */
  readonly lost: (sites: SiteRows) => void
}

const PROGRAM = fileURLToPath(new URL('worker.js', import.meta.url))
/** A worker that does not answer within this time is not ready. */
const ANSWER_MS = 2000
/** What goes to Redis takes longer when that is away (CONTRACT 27). */
const STEER_MS = 7000
/** A process that ends sooner than this after its start is replaced more slowly each time. */
const SETTLED_MS = 10_000
const REPLACE_MS = 1000
const REPLACE_CAP_MS = 30_000

/** The place of one worker: its process, and the next one when that has died. */
export class Seat {
  readonly #options: SeatOptions
  #child: ChildProcess | undefined
  #ready = false
  /** Whether any process was ever ready. */
  #started = false
  #drained = false
  /** Processes in a row that ended soon. */
  #short = 0
  /** The newest of this process. */
  #numbers: Numbers = []
  #sites: SiteRows = new Map()
  #asked: { kind: keyof Answers; resolve: (answer?: FromWorker) => void }[] = []
  readonly #steering = new Map<number, (answer: HttpAnswer | undefined) => void>()
  #calls = 0
  #cancel: Cancel | undefined

  constructor(options: SeatOptions) {
    this.#options = options
  }

  /** Whether it takes connections. */
  get ready(): boolean {
    return this.#ready
  }

  get numbers(): Numbers {
    return this.#numbers
  }

  get sites(): SiteRows {
    return this.#sites
  }

  /** Starts the first process. Rejects with a CannotStart when it ends before it is ready; later ones are replaced. */
  start(): Promise<void> {
    return new Promise((resolve, reject) => this.#spawn(resolve, reject))
  }

  /** Returns whether the bus of a worker that takes connections is up, or undefined when it takes none. */
  async bus(): Promise<boolean | undefined> {
    return ((await this.#ask('bus')) as Partial<Answers> | undefined)?.bus
  }

  /** Brings `numbers`, or `sites`, up to date. A process that is too busy to answer keeps its last ones. */
  async count(what: 'numbers' | 'sites'): Promise<void> {
    await this.#ask(what)
  }

  /** Returns what the worker answers, or undefined when it does not. */
  steer(site: Steering['site'], deed: Steering['deed']): Promise<HttpAnswer | undefined> {
    const call = ++this.#calls
    return new Promise<HttpAnswer | undefined>(resolve => {
      this.#steering.set(call, resolve)
      after(STEER_MS, () => resolve(undefined))
      this.#tell({ call, site, deed })
    }).finally(() => this.#steering.delete(call))
  }

  /** Ends the process in good order, and resolves when it has ended. */
  async drain(): Promise<void> {
    this.#drained = true
    this.#cancel?.()
    const child = this.#child
    if (child === undefined) return
    const ended = once(child, 'exit')
    if (this.#ready) this.#tell('drain')
    else child.kill('SIGKILL')
    await ended
  }

  /** Ends the process at once. */
  kill(): void {
    this.#child?.kill('SIGKILL')
  }

  #spawn(started?: () => void, failed?: (error: Error) => void): void {
    const { worker, environment } = this.#options
    const child = fork(PROGRAM, [String(worker)], {
      env: environment,
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    this.#child = child
    const since = systemClock.now()
    let fault: StartFault | undefined
    child.on('message', (message: FromWorker) => {
      if ('failed' in message) fault = message.failed
      else if ('ready' in message) {
        this.#ready = true
        this.#started = true
        started?.()
      } else if ('steered' in message) this.#steering.get(message.call)?.(message.steered)
      else this.#answered(message)
    })
    const ended = (how: string): void => {
      this.#forget()
      if (this.#started) this.#replace(fault?.message ?? how, systemClock.now() - since)
      else failed?.(new CannotStart(fault ?? { message: `worker ${worker} ${how} while it started` }))
    }
    child.once('exit', (code: number | null, signal: string | null) => ended(`ended with ${signal ?? code}`))
    child.on('error', error => {
      // No process came of it, so there will be no 'exit'.
      if (child.pid === undefined) ended(error.message)
    })
  }

  #forget(): void {
    this.#child = undefined
    this.#ready = false
    this.#options.left(lasting(this.#numbers))
    this.#numbers = []
    this.#takeSites(new Map())
    for (const { resolve } of this.#asked.splice(0)) resolve()
    for (const resolve of this.#steering.values()) resolve(undefined)
  }

  #replace(how: string, lived: number): void {
    if (this.#drained) return
    this.#short = lived < SETTLED_MS ? this.#short + 1 : 0
    const wait = this.#short === 0 ? 0 : Math.round(backoff(this.#short, REPLACE_MS, REPLACE_CAP_MS))
    this.#options.log.error({ worker: this.#options.worker, how, afterMs: wait }, 'a worker ended and is replaced')
    this.#cancel = after(wait, () => this.#spawn())
  }

  #ask(kind: keyof Answers): Promise<FromWorker | undefined> {
    if (!this.#ready) return Promise.resolve(undefined)
    return new Promise(resolve => {
      this.#asked.push({ kind, resolve })
      after(ANSWER_MS, () => resolve(undefined))
      this.#tell(kind)
    })
  }

  #answered(answer: Partial<Answers>): void {
    this.#numbers = answer.numbers ?? this.#numbers
    if (answer.sites !== undefined) this.#takeSites(answer.sites)
    const waiting = this.#asked
    this.#asked = waiting.filter(({ kind }) => !(kind in answer))
    for (const { kind, resolve } of waiting) if (kind in answer) resolve(answer)
  }

  #takeSites(sites: SiteRows): void {
    this.#options.lost(lostSites(this.#sites, sites))
    this.#sites = sites
  }

  #tell(message: ToWorker): void {
    // Its end is told by 'exit'.
    this.#child?.send(message, () => undefined)
  }
}
