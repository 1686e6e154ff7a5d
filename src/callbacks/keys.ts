import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import type { Clock } from '../lib/clock.ts'
import { errorFacts, type Log } from '../observe/log.ts'
import { Refusal } from '../protocol/refusal.ts'
import type { Keys } from '../redis/keys.ts'
import { loadScript, type RedisLink } from '../redis/link.ts'

/** What callbacks may have been signed with (DESIGN §10), for whoever verifies them. The newest comes first. */
export interface PublishedKeys {
  /** RFC 7517, with the thumbprint of RFC 7638 as `kid`. */
  readonly keys: readonly PublicJwk[]
  /** The same as Standard Webhooks writes them. */
  readonly whpk: readonly string[]
}

export interface PublicJwk {
  readonly kty: 'OKP'
  readonly crv: 'Ed25519'
  readonly alg: 'EdDSA'
  readonly use: 'sig'
  readonly kid: string
  readonly x: string
}

export interface CallbackKeysOptions {
  /** As configured; without it one is made, which the nodes of a cluster share. */
  readonly key: KeyObject | undefined
  readonly clock: Clock
  readonly log: Log
  /** Left out with the memory bus: then old keys are forgotten, and a made one ends with the process. */
  readonly shared?: { readonly link: RedisLink; readonly keys: Keys }
}

/** Milliseconds after which Redis is asked again: another node may have been given another key. */
const AGE = 30_000
const SCRIPT = loadScript('callbacks/keys')

/** The relay's own keys for callbacks: the one that signs, and those that are still published. */
export class CallbackKeys {
  readonly #options: CallbackKeysOptions
  #key: KeyObject | undefined
  #published: PublishedKeys | undefined
  #askedAt = -Infinity
  #asking: Promise<void> | undefined

  constructor(options: CallbackKeysOptions) {
    this.#options = options
    this.#key = options.key
    if (options.key !== undefined) this.#published = publish([publicOf(options.key)])
  }

  /** Returns the key that signs. Rejects with `bus_down` when it was never read and Redis is away. */
  async signing(): Promise<KeyObject> {
    const refreshed = this.#refresh()
    // A key that is known need not wait for a Redis that is slow to answer.
    if (this.#key === undefined) await refreshed
    return this.#key!
  }

  /** Returns the public keys of all nodes: those of now, and those that were in use within 7 days. Rejects as `signing` does. */
  async published(): Promise<PublishedKeys> {
    await this.#refresh()
    return this.#published!
  }

  async #refresh(): Promise<void> {
    if (this.#options.clock.now() - this.#askedAt < AGE) return
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined))
    await this.#asking
  }

  async #ask(): Promise<void> {
    const { key: given, shared, clock, log } = this.#options
    if (given === undefined && this.#key === undefined) {
      const ends = shared === undefined ? ' and ends with this process' : ' and kept in Redis'
      log.warn({}, `THROUGHLINE_CALLBACK_KEY is not set: the key that signs callbacks was made by the relay${ends}`)
    }
    // What this node has signed with so far is offered again: so a Redis that was emptied changes no key.
    const fresh = this.#key ?? generateKeyPairSync('ed25519').privateKey
    if (shared === undefined) {
      this.#take(fresh, [publicOf(fresh)])
      return
    }
    try {
      const names = [shared.keys.callbackKey(), shared.keys.callbackKeys()]
      const now = Math.floor(clock.now() / 1000)
      const args = given === undefined ? ['', textOf(fresh), now] : [publicOf(given), '', now]
      const [made = '', ...known] = (await shared.link.run(SCRIPT, names, args)) as string[]
      this.#take(given ?? keyOf(made), known)
    } catch (error) {
      log.debug({ error: errorFacts(error).error }, 'the keys of callbacks could not be read')
      if (this.#published === undefined) throw new Refusal('bus_down', undefined, { retryAfter: 2 })
    }
  }

  #take(key: KeyObject, known: readonly string[]): void {
    this.#key = key
    this.#published = publish([publicOf(key), ...known.filter(x => x !== publicOf(key))])
    this.#askedAt = this.#options.clock.now()
  }
}

function publish(known: readonly string[]): PublishedKeys {
  return {
    keys: known.map(x => ({ kty: 'OKP', crv: 'Ed25519', alg: 'EdDSA', use: 'sig', kid: thumbprint(x), x })),
    whpk: known.map(x => `whpk_${Buffer.from(x, 'base64url').toString('base64')}`),
  }
}

/** RFC 7638 §3: the required members in the order of their names, without white space. */
function thumbprint(x: string): string {
  return createHash('sha256')
    .update(JSON.stringify({ crv: 'Ed25519', kty: 'OKP', x }))
    .digest('base64url')
}

/** Returns the `x` of a key's JWK (RFC 8037 §2). */
function publicOf(key: KeyObject): string {
  return createPublicKey(key).export({ format: 'jwk' }).x!
}

function textOf(key: KeyObject): string {
  const { x, d } = key.export({ format: 'jwk' })
  return `${x} ${d}`
}

function keyOf(text: string): KeyObject {
  const [x = '', d = ''] = text.split(' ')
  return createPrivateKey({ key: { kty: 'OKP', crv: 'Ed25519', x, d }, format: 'jwk' })
}
