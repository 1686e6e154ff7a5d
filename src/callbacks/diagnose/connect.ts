import type { LookupAddress } from 'node:dns'
import { connect as connectTcp, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { after } from '../../lib/clock.ts'
import type { Found } from './culprits.ts'

/** Milliseconds at most for a connection, and for TLS on it. */
const CONNECT_MS = 5000
/** Of many addresses the first few tell enough. */
const MOST = 3
const DAY = 86_400_000

/** Returns the first of the addresses that takes a connection, or why none does. */
export async function connect(
  addresses: readonly LookupAddress[],
  port: number,
  timeoutMs: number,
): Promise<string | Found> {
  let refused = false
  for (const { address } of addresses.slice(0, MOST)) {
    const socket = connectTcp({ host: address, port })
    const error = await settled(socket, 'connect', timeoutMs)
    socket.destroy()
    if (error === undefined) return address
    refused ||= error.code === 'ECONNREFUSED'
  }
  const tried = addresses
    .slice(0, MOST)
    .map(({ address }) => address)
    .join(', ')
  if (addresses.every(({ family }) => family === 6)) return { culprit: 'ipv6_only', seen: tried }
  return { culprit: refused ? 'nothing_listens' : 'unreachable', seen: `${tried}, port ${port}` }
}

interface Secured {
  readonly daysLeft: number
}

const UNTRUSTED: Readonly<Record<string, Found['culprit']>> = {
  CERT_HAS_EXPIRED: 'certificate_expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'certificate_name',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'certificate_self_signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'certificate_self_signed',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'certificate_chain',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'certificate_chain',
}

/** Makes a secure connection for the sake of its certificate. `name` is undefined for an address in the URL. */
export async function secure(
  address: string,
  port: number,
  name: string | undefined,
  { now, timeoutMs, ca }: { now: number; timeoutMs: number; ca: string | undefined },
): Promise<Secured | Found> {
  const socket = connectTls({
    host: address,
    port,
    ...(name === undefined ? {} : { servername: name }),
    ...(ca === undefined ? {} : { ca }),
    // The certificate is looked at also when it is no good; nothing is sent.
    rejectUnauthorized: false,
  })
  const error = await settled(socket, 'secureConnect', timeoutMs)
  const judged = error === undefined ? judge(socket, now) : faultOf(error)
  socket.destroy()
  return judged
}

function judge(socket: TLSSocket, now: number): Secured | Found {
  const { valid_to: end, subjectaltname: names, subject } = socket.getPeerCertificate()
  const daysLeft = Math.floor((Date.parse(end) - now) / DAY)
  if (socket.authorized) return { daysLeft }
  const { authorizationError } = socket as { authorizationError?: unknown }
  const { code = String(authorizationError) } = (authorizationError ?? {}) as NodeJS.ErrnoException
  const culprit = UNTRUSTED[code] ?? 'certificate_invalid'
  if (culprit === 'certificate_expired') return { culprit, seen: `on ${end}` }
  if (culprit === 'certificate_name') return { culprit, seen: `it is for ${names ?? String(subject?.CN)}` }
  return culprit === 'certificate_invalid' ? { culprit, seen: code } : { culprit }
}

function faultOf({ code = '' }: NodeJS.ErrnoException): Found {
  return { culprit: code === 'ECONNRESET' ? 'reset' : 'tls_failed', seen: code }
}

/** Resolves with undefined when a socket is ready, else with what went wrong with it, a timeout included. */
function settled(
  socket: Socket,
  event: 'connect' | 'secureConnect',
  timeoutMs: number,
): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise(resolve => {
    const late = Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' })
    const cancel = after(Math.min(CONNECT_MS, timeoutMs), () => socket.destroy(late))
    const end = (error?: NodeJS.ErrnoException): void => {
      cancel()
      resolve(error)
    }
    socket.once(event, () => end())
    // Stays, since an error may come after the answer.
    socket.on('error', end)
  })
}
