import type { LookupAddress } from 'node:dns'
import { isIP } from 'node:net'
import { after, type Clock, steadyClock } from '../../lib/clock.ts'
import { Refusal } from '../../protocol/refusal.ts'
import { type AddressGuard, hostOf } from '../address-guard.ts'
import { PostFault, type Poster, USER_AGENT } from '../post.ts'
import type { Signer } from '../sign.ts'
import { connect, secure } from './connect.ts'
import { CULPRITS, type Culprit, type Found } from './culprits.ts'
import { ping, type Ponged } from './ping.ts'
import { recognise } from './recognise.ts'
import { explainRedirect, isRedirect } from './redirects.ts'

export type StepName = 'dns' | 'address' | 'tcp' | 'tls' | 'http' | 'challenge' | 'signature'

/** One step on the way to the site. None comes after one that failed. */
export interface Step {
  readonly step: StepName
  readonly ok: boolean
  readonly says: string
  readonly ms: number
}

/** What happened to a signed `ping`, in words for whoever runs the site. */
export interface Diagnosis {
  readonly ok: boolean
  readonly url: string
  readonly steps: readonly Step[]
  readonly culprit?: { readonly name: Culprit; readonly says: string; readonly remedy: string }
  /** What a firewall can recognise callbacks by. */
  readonly allow: {
    readonly method: 'POST'
    readonly path: string
    readonly user_agent: string
    readonly headers: readonly string[]
  }
}

export interface DiagnoseOptions {
  readonly guard: AddressGuard
  readonly poster: Poster
  readonly clock: Clock
  /** As the poster's. */
  readonly ca?: string
  /** For the ping, as for any callback. */
  readonly timeoutMs: number
}

const DNS_MS = 5000
const FEW_DAYS = 14
const SEEN_LENGTH = 300
const ADDRESSES_SHOWN = 8
const HEADERS = ['webhook-id', 'webhook-timestamp', 'webhook-signature']

/**
 * Calls a site as a callback does, step by step, and says what came of it. Takes up to a minute. Rejects with `draining`
 * when the poster is closed meanwhile.
 */
export async function diagnose(
  { url: href, site, signer }: { url: string; site: string; signer: Signer },
  options: DiagnoseOptions,
): Promise<Diagnosis> {
  const url = new URL(href)
  const steps: Step[] = []
  const found = await walk(url, { ...options, site, signer }, steps)
  return {
    ok: found === undefined,
    url: href,
    steps,
    ...(found === undefined
      ? {}
      : { culprit: { name: found.culprit, ...CULPRITS[found.culprit], says: words(found) } }),
    allow: { method: 'POST', path: url.pathname, user_agent: USER_AGENT, headers: HEADERS },
  }
}

type Walk = DiagnoseOptions & { readonly site: string; readonly signer: Signer }

async function walk(url: URL, context: Walk, steps: Step[]): Promise<Found | undefined> {
  const { guard, clock, ca, timeoutMs } = context
  const host = hostOf(url)
  const port = Number(url.port) || (url.protocol === 'https:' ? 443 : 80)
  const step = stepper(steps)

  const addresses = await step(
    'dns',
    () => resolve(guard, url),
    found => `${host} is ${listed(found)}`,
  )
  if (isFound(addresses)) return addresses
  const allowed = await step(
    'address',
    () => check(guard, url, addresses),
    () => 'callbacks may go there',
  )
  if (isFound(allowed)) return allowed
  const address = await step(
    'tcp',
    () => connect(addresses, port, timeoutMs),
    found => `${found} takes connections on port ${port}`,
  )
  if (isFound(address)) return address
  if (url.protocol === 'https:') {
    const name = isIP(host) === 0 ? host : undefined
    const terms = { now: clock.now(), timeoutMs, ca }
    const secured = await step('tls', () => secure(address, port, name, terms), certificateWords)
    if (isFound(secured)) return secured
  }
  const ponged = await step(
    'http',
    () => post(url, context),
    ({ status }) => `the site answered with HTTP ${status}`,
  )
  if (isFound(ponged)) return ponged
  const back = await step('challenge', () => judge(url, ponged, context), challengeWords)
  if (isFound(back)) return back
  const verified = await step(
    'signature',
    () => checkForgery(url, context),
    () => 'a call with a wrong signature was not taken',
  )
  return isFound(verified) ? verified : undefined
}

/** Returns a function that does a step, times it and writes down what it said. */
function stepper(steps: Step[]) {
  return async <T>(step: StepName, act: () => Promise<T | Found>, says: (result: T) => string): Promise<T | Found> => {
    const begun = steadyClock.now()
    const result = await act()
    const ms = Math.round(steadyClock.now() - begun)
    if (isFound(result)) steps.push({ step, ok: false, says: words(result), ms })
    else steps.push({ step, ok: true, says: says(result), ms })
    return result
  }
}

function isFound(value: unknown): value is Found {
  return typeof value === 'object' && value !== null && 'culprit' in value
}

function words({ culprit, seen }: Found): string {
  // What was seen is the site's own text, of any length.
  return seen === undefined ? CULPRITS[culprit].says : `${CULPRITS[culprit].says} (${seen.slice(0, SEEN_LENGTH)})`
}

function resolve(guard: AddressGuard, url: URL): Promise<readonly LookupAddress[] | Found> {
  return new Promise(done => {
    const cancel = after(DNS_MS, () => done({ culprit: 'dns', seen: `no answer within ${DNS_MS / 1000} s` }))
    guard
      .resolve(url)
      .then(
        addresses => done(addresses.length === 0 ? { culprit: 'dns' } : addresses),
        ({ code, message }: NodeJS.ErrnoException) => done({ culprit: 'dns', seen: code ?? message }),
      )
      .finally(cancel)
  })
}

async function check(guard: AddressGuard, url: URL, addresses: readonly LookupAddress[]): Promise<true | Found> {
  try {
    for (const { address } of addresses) guard.check(url.protocol, address)
    return true
  } catch (error) {
    return { culprit: 'address_refused', seen: (error as Error).message }
  }
}

async function post(url: URL, context: Walk): Promise<Ponged | Found> {
  try {
    return await ping(context, url)
  } catch (error) {
    if (!(error instanceof PostFault)) throw error
    if ((error.cause as NodeJS.ErrnoException).code === 'UND_ERR_DESTROYED') throw new Refusal('draining')
    return { culprit: culpritOf(error), seen: error.message }
  }
}

function culpritOf({ fault, status }: PostFault): Culprit {
  if (fault === 'timeout') return status === undefined ? 'slow_headers' : 'slow_body'
  if (fault === 'tls') return 'certificate_invalid'
  return fault === 'connect' ? 'unreachable' : fault
}

async function judge(url: URL, ponged: Ponged, context: Walk): Promise<Ponged | Found> {
  if (ponged.came !== 'not') return ponged
  if (isRedirect(ponged)) return explainRedirect(context.poster, url, ponged)
  const found = recognise(ponged, context.clock.now())
  const other = found.culprit === 'not_found' ? withoutPermalinks(url) : undefined
  if (other === undefined) return found
  const again = await post(other, context)
  return isFound(again) || again.came === 'not' ? found : { culprit: 'permalinks', seen: `it works as ${other.href}` }
}

/** Returns the same REST route as WordPress has it without pretty permalinks, whatever folder it is in. */
function withoutPermalinks({ origin, pathname, search }: URL): URL | undefined {
  const [folder, route] = pathname.split('/wp-json/', 2)
  if (route === undefined) return undefined
  const query = new URLSearchParams(search)
  query.set('rest_route', `/${route}`)
  return new URL(`${origin}${folder}/?${query.toString()}`)
}

async function checkForgery(url: URL, context: Walk): Promise<true | Found> {
  try {
    const { came } = await ping(context, url, true)
    return came === 'not' ? true : { culprit: 'not_verified' }
  } catch (error) {
    if (error instanceof PostFault) return true
    throw error
  }
}

function listed(addresses: readonly LookupAddress[]): string {
  const shown = addresses.slice(0, ADDRESSES_SHOWN).map(({ address }) => address)
  return shown.join(', ') + (addresses.length > shown.length ? ', …' : '')
}

function certificateWords({ daysLeft }: { daysLeft: number }): string {
  const hint = daysLeft < FEW_DAYS ? ': renew it soon' : ''
  return `the certificate is good for ${daysLeft} more days${hint}`
}

function challengeWords({ came }: Ponged): string {
  if (came === 'alone') return 'the challenge came back'
  return 'the challenge came back, after other output: a plugin or a notice of PHP writes before the answer; switch off display_errors'
}
