import { fromBase64url, random, toBase64url } from './bytes.ts'
import { type Envelope, openEnvelope, readEnvelope, sealEnvelope } from './envelope.ts'
import { type Epoch, openEpoch, pick, SECRET_BYTES } from './epoch.ts'
import { type Handover, makeHandover, readHandover, sealedFor, signedBy, takeKey } from './handover.ts'
import { type Device, type Identity, importDevice, type PublicIdentity } from './identity.ts'
import { E2eError, type Refused, refuse } from './refusal.ts'

/** What a handover with as many devices still fits into: 64 KiB of `data`. */
const MAX_DEVICES = 256
const MAX_BYTES = 64 * 1024
/** How far a handover may go ahead: nobody may use up the numbers. */
const MAX_JUMP = 1000
const MAX_EPOCHS = 1000
const MAX_SEEN = 10_000

export interface ThreadOptions {
  readonly thread: string
  readonly identity: Identity
  /** The devices of all members, as the application's directory has them; one's own is added. */
  readonly members: readonly PublicIdentity[]
  /** Devices that were members, for what they sealed and handed over then. */
  readonly former?: readonly PublicIdentity[]
  /** What `export()` gave before. */
  readonly state?: State
  /** How large an envelope may be, in bytes of JSON; 64 KiB by default. */
  readonly maxBytes?: number
}

/** The keys and identities that a thread knows. It is as secret as the conversation. */
export interface State {
  readonly v: 1
  readonly thread: string
  readonly floor: number
  readonly epochs: readonly { readonly n: number; readonly secret: string; readonly roster: readonly string[] }[]
  readonly known: readonly PublicIdentity[]
}

export interface Opened {
  readonly ok: true
  readonly value: unknown
  readonly sender: PublicIdentity
  /** When it was sealed, in ms, by the sender's clock. */
  readonly at: number
}

export interface Accepted {
  readonly ok: true
  readonly kid: string
  /** The ids of devices that have the key and are no members here: nothing is sealed with it as long as there are any. */
  readonly strangers: readonly string[]
}

/** A thread on one device: what it seals, only the devices of members can open. */
export class SealedThread {
  readonly thread: string
  readonly #identity: Identity
  readonly #own: Device
  readonly #maxBytes: number
  /** All that were members at some time: their old envelopes stay readable. */
  readonly #known = new Map<string, Device>()
  readonly #members = new Set<string>()
  readonly #epochs = new Map<string, Epoch>()
  /** The newest epoch that was used: sealing never goes back behind it. */
  #floor = 0
  #current: Epoch | undefined
  /** Which id an envelope came under. */
  readonly #seen = new Map<string, string>()

  private constructor({ thread, identity, maxBytes = MAX_BYTES }: ThreadOptions, own: Device) {
    this.thread = thread
    this.#identity = identity
    this.#own = own
    this.#maxBytes = maxBytes
  }

  static async open(options: ThreadOptions): Promise<SealedThread> {
    const { thread, identity, members, former = [], state } = options
    const sealed = new SealedThread(options, await importDevice(identity.public))
    const known = await Promise.all([...former, ...(state?.known ?? [])].map(importDevice))
    for (const device of known) sealed.#known.set(device.id, device)
    if (state !== undefined) {
      if (state.v !== 1 || state.thread !== thread) {
        throw new E2eError('bad_state', `It is no state of thread ${thread}.`)
      }
      for (const { n, secret, roster } of state.epochs) {
        const bytes = fromBase64url(secret, SECRET_BYTES)
        if (bytes === undefined)
          throw new E2eError('bad_state', `A key of thread ${thread} is not ${SECRET_BYTES} bytes.`)
        const epoch = await openEpoch(thread, n, bytes, roster)
        sealed.#epochs.set(epoch.kid, epoch)
      }
      sealed.#floor = state.floor
    }
    await sealed.admit(identity.public, ...members)
    return sealed
  }

  /** The members' devices that were not given the key in use: `share()` gives it to them. */
  get missing(): PublicIdentity[] {
    return this.#missing().map(device => device.public)
  }

  /** The id of the key in use; undefined when a handover must come, or be made by `rotate()`, before anything is sealed. */
  get kid(): string | undefined {
    return this.#current?.kid
  }

  /** Seals a value of JSON for all members. Throws `no_key`, and `too_large` (`send` takes 16 KiB at most: say so by `maxBytes`). */
  async seal(type: string, value: unknown, { maxBytes = this.#maxBytes } = {}): Promise<Envelope> {
    return sealEnvelope({ thread: this.thread, type }, this.#key(), this.#identity, this.#own.id, value, maxBytes)
  }

  /**
   * Opens what `sender` is said to have sealed as `type`. With the event's `id` it is refused when it came under another one
   * before. With `past` it may be of one who is no member any more: for the history, not for what arrives now.
   */
  async open(
    envelope: unknown,
    { sender, type, id, past = false }: { sender: string; type: string; id?: string; past?: boolean },
  ): Promise<Opened | Refused> {
    const read = readEnvelope(envelope, this.#maxBytes)
    if (read === undefined) return refuse('malformed')
    const device = this.#known.get(read.from)
    if (device === undefined) return refuse('unknown_sender')
    if (device.public.user !== sender) return refuse('wrong_sender')
    if (!past && !this.#members.has(device.id)) return refuse('not_member')
    const epoch = this.#epochs.get(read.kid)
    if (epoch === undefined) return refuse('unknown_key')
    if (!epoch.roster.has(device.id)) return refuse('not_member')
    const opened = await openEnvelope({ thread: this.thread, type }, epoch, device, read)
    if (typeof opened === 'string') return refuse(opened)
    if (id !== undefined && this.#replayed(`${read.from} ${read.n}`, id)) return refuse('replay')
    return { ok: true, value: opened[1], sender: device.public, at: opened[0] }
  }

  /** Takes a key that `sender` is said to hand over, one's own device included: a key counts once it comes back. */
  async accept(handover: unknown, { sender }: { sender: string }): Promise<Accepted | Refused> {
    const read = readHandover(handover, MAX_DEVICES)
    if (read === undefined) return refuse('malformed')
    if (read.thread !== this.thread) return refuse('wrong_thread')
    const giver = this.#known.get(read.from)
    if (giver === undefined) return refuse('unknown_sender')
    if (giver.public.user !== sender) return refuse('wrong_sender')
    if (!(await signedBy(giver, read))) return refuse('bad_signature')
    if (!this.#epochs.has(read.kid)) {
      if (this.#epochs.size > 0 && read.n > this.#newest() + MAX_JUMP) return refuse('epoch_jump')
      const sealed = sealedFor(read, this.#own)
      if (!sealed) return refuse('not_for_this_device')
      const taken = await takeKey(read, sealed, this.#identity, this.#own)
      if (taken === undefined) return refuse('tampered')
      // Another call may have brought the same key meanwhile.
      if (!this.#epochs.has(taken.kid)) this.#keep(taken)
    }
    const epoch = this.#epochs.get(read.kid)!
    if (epoch.n !== read.n) return refuse('tampered')
    // Who was not given the key cannot say who has it: a removed member could stop all sealing.
    if (!epoch.roster.has(read.from)) return refuse('not_member')
    const roster = new Set([...epoch.roster, ...new Map(read.members).keys()])
    if (roster.size > MAX_DEVICES) return refuse('malformed')
    for (const id of roster) epoch.roster.add(id)
    this.#choose()
    return { ok: true, kid: read.kid, strangers: [...epoch.roster].filter(id => !this.#members.has(id)) }
  }

  /** Takes devices in and hands them a key: a new one, or with `past` the one in use, with all that was sealed with it. */
  async add(identities: readonly PublicIdentity[], { past = false } = {}): Promise<Handover | undefined> {
    await this.admit(...identities)
    return past ? this.share() : this.rotate()
  }

  /** Puts a user, or one device, out and hands a new key to the others. */
  async remove(who: string | PublicIdentity): Promise<Handover> {
    await this.dismiss(who)
    return this.rotate()
  }

  /** Makes a new key and hands it to all members. It is used when the handover was accepted. */
  async rotate(): Promise<Handover> {
    const n = Math.max(this.#floor, this.#newest()) + 1
    return this.#hand(await openEpoch(this.thread, n, random(SECRET_BYTES), []), this.#devices())
  }

  /** Hands the key in use to the members' devices that miss it; returns undefined when none does. */
  async share(): Promise<Handover | undefined> {
    const epoch = this.#key()
    const missing = this.#missing()
    return missing.length === 0 ? undefined : this.#hand(epoch, missing)
  }

  /** Counts devices as members, without handing them anything: for a member that another one added. */
  async admit(...identities: readonly PublicIdentity[]): Promise<void> {
    const devices = await Promise.all(identities.map(importDevice))
    if (new Set([...this.#members, ...devices.map(({ id }) => id)]).size > MAX_DEVICES) {
      throw new E2eError('too_many', `A thread has at most ${MAX_DEVICES} devices.`)
    }
    for (const device of devices) {
      this.#known.set(device.id, device)
      this.#members.add(device.id)
    }
    this.#choose()
  }

  /** Counts a user, or one device, as a member no more, without a new key: for one whom another member removed. */
  async dismiss(who: string | PublicIdentity): Promise<void> {
    const id = typeof who === 'string' ? undefined : (await importDevice(who)).id
    for (const device of this.#devices()) {
      if (id === undefined ? device.public.user === who : device.id === id) this.#members.delete(device.id)
    }
    this.#choose()
  }

  export(): State {
    const epochs = [...this.#epochs.values()].map(({ n, secret, roster }) => ({
      n,
      secret: toBase64url(secret),
      roster: [...roster],
    }))
    const known = [...this.#known.values()].map(device => device.public)
    return { v: 1, thread: this.thread, floor: this.#floor, epochs, known }
  }

  #hand(epoch: Epoch, to: readonly Device[]): Promise<Handover> {
    if (!this.#members.has(this.#own.id))
      throw new E2eError('not_member', 'This device is no member: nobody takes its key.')
    return makeHandover(this.thread, epoch, this.#identity, this.#own.id, to)
  }

  #key(): Epoch {
    if (this.#current !== undefined) return this.#current
    throw new E2eError('no_key', 'No key is known to the members alone: accept a handover, or make one by rotate().')
  }

  #devices(): Device[] {
    return [...this.#members].map(id => this.#known.get(id)!)
  }

  #missing(): Device[] {
    return this.#devices().filter(({ id }) => this.#current?.roster.has(id) === false)
  }

  #newest(): number {
    return Math.max(0, ...[...this.#epochs.values()].map(({ n }) => n))
  }

  #choose(): void {
    this.#current = pick(this.#epochs.values(), this.#members, this.#floor)
    this.#floor = Math.max(this.#floor, this.#current?.n ?? 0)
  }

  #keep(epoch: Epoch): void {
    for (const kid of this.#epochs.keys()) {
      if (this.#epochs.size < MAX_EPOCHS) break
      if (kid !== this.kid) this.#epochs.delete(kid)
    }
    this.#epochs.set(epoch.kid, epoch)
  }

  #replayed(envelope: string, id: string): boolean {
    const first = this.#seen.get(envelope) ?? id
    this.#seen.set(envelope, first)
    if (this.#seen.size > MAX_SEEN) this.#seen.delete(this.#seen.keys().next().value!)
    return first !== id
  }
}

/** Opens a thread. Throws `bad_identity`, `bad_state`, `too_many`. */
export function openThread(options: ThreadOptions): Promise<SealedThread> {
  return SealedThread.open(options)
}
