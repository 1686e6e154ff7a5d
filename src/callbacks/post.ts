import { isIP } from 'node:net'
import { Agent, type Dispatcher } from 'undici'
import { after, steadyClock } from '../lib/clock.ts'
import { AddressGuard, AddressRefused, type Cidrs, hostOf, type Resolve } from './address-guard.ts'

/** What an origin answered. A redirect is an answer like any other: it is not followed. */
export interface Posted {
  readonly status: number
  /** By lower-case name; several of one name with commas between. */
  readonly headers: Readonly<Record<string, string>>
  /** At most 64 KiB of it, as it came: nothing is decompressed. */
  readonly body: string
  readonly ms: number
}

export type Fault = 'dns' | 'address_refused' | 'connect' | 'tls' | 'timeout' | 'reset' | 'too_large'

/** Why there is no answer. The message is for people. */
export class PostFault extends Error {
  override readonly name = 'PostFault'
  readonly fault: Fault
  /** Of an answer whose body did not come. */
  readonly status: number | undefined

  constructor(fault: Fault, cause: unknown, status?: number) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
    this.fault = fault
    this.status = status
  }
}

export interface Poster {
  /**
   * Posts to a URL whose every address was checked. `timeoutMs` is for all of it, from the name to the last byte. Rejects
   * with a PostFault; then the origin may have got the body all the same.
   */
  post(url: URL, headers: Readonly<Record<string, string>>, body: string, timeoutMs: number): Promise<Posted>
  close(): Promise<void>
}

export interface PosterOptions {
  /** What callbacks may reach although it is private, and without TLS. */
  readonly allow: Cidrs
  /** The system's, if left out. */
  readonly resolve?: Resolve
  /** PEM certificates to trust instead of Node's. */
  readonly ca?: string
}

/** Fixed, so that a firewall can let it through (DESIGN §10). */
export const USER_AGENT = 'Throughline-Callbacks/1'

const BODY_BYTES = 65_536
const HEADER_BYTES = 16_384
const CONNECT_MS = 10_000
const OURS = {
  'user-agent': USER_AGENT,
  'content-type': 'application/json',
  accept: 'application/json',
  'accept-encoding': 'identity',
}

export function openPoster({ allow, resolve, ca }: PosterOptions): Poster {
  const guard = new AddressGuard(allow, resolve)
  // One for each protocol, since what may be connected to depends on it and a lookup is not told.
  const agents = new Map<string, Agent>(['http:', 'https:'].map(protocol => [protocol, openAgent(guard, protocol, ca)]))
  return {
    post: (url, headers, body, timeoutMs) => post(agents.get(url.protocol), guard, { url, headers, body, timeoutMs }),
    async close() {
      await Promise.all([...agents.values()].map(agent => agent.destroy()))
    },
  }
}

function openAgent(guard: AddressGuard, protocol: string, ca: string | undefined): Agent {
  return new Agent({
    maxHeaderSize: HEADER_BYTES,
    // One clock for all, below: these would begin anew with each byte.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { timeout: CONNECT_MS, lookup: guard.lookup(protocol), ...(ca === undefined ? {} : { ca }) },
  })
}

interface Call {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly timeoutMs: number
}

async function post(agent: Agent | undefined, guard: AddressGuard, call: Call): Promise<Posted> {
  const { url, headers, body, timeoutMs } = call
  if (agent === undefined) throw new PostFault('address_refused', 'the URL of a callback begins with https://')
  const abort = new AbortController()
  const late = new Error(`no whole answer within ${timeoutMs / 1000} s`)
  const cancel = after(timeoutMs, () => abort.abort(late))
  const begun = steadyClock.now()
  let status: number | undefined
  try {
    // Here too and not in the lookup alone, which is not asked for an address in the URL.
    if (isIP(hostOf(url)) !== 0) await guard.addressesOf(url)
    const answer = await agent.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method: 'POST',
      headers: { ...OURS, ...headers },
      body,
      signal: abort.signal,
    })
    status = answer.statusCode
    return {
      status,
      headers: flat(answer.headers),
      body: await read(answer.body),
      ms: Math.round(steadyClock.now() - begun),
    }
  } catch (error) {
    throw new PostFault(abort.signal.aborted ? 'timeout' : faultOf(error), error, status)
  } finally {
    cancel()
  }
}

/** Reads what there is room for. The rest is not waited for: its connection is ended. */
async function read(body: Dispatcher.ResponseData['body']): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes >= BODY_BYTES) break
  }
  return Buffer.concat(chunks).subarray(0, BODY_BYTES).toString('utf8')
}

function flat(headers: Dispatcher.ResponseData['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value].flat().join(', ')]))
}

const CONNECT =
  /^(E(CONNREFUSED|HOSTUNREACH|NETUNREACH|HOSTDOWN|NETDOWN|TIMEDOUT|ADDRNOTAVAIL|ACCES|PERM|INVAL)|UND_ERR_CONNECT_TIMEOUT)$/
const TLS = /^(ERR_(SSL|TLS)_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_|INVALID_CA$|INVALID_PURPOSE$|EPROTO$)/

function faultOf(error: unknown): Fault {
  if (error instanceof AddressRefused) return 'address_refused'
  const { code = '', syscall } = error as NodeJS.ErrnoException
  if (
    syscall === 'getaddrinfo' ||
    syscall?.startsWith('query') === true ||
    code.startsWith('EAI_') ||
    code === 'ENOTFOUND'
  )
    return 'dns'
  if (CONNECT.test(code)) return 'connect'
  if (TLS.test(code)) return 'tls'
  if (code === 'UND_ERR_HEADERS_OVERFLOW' || code === 'HPE_HEADER_OVERFLOW') return 'too_large'
  return 'reset'
}
