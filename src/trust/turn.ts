import { createHmac } from 'node:crypto'
import type { UserId } from '../protocol/ids.ts'
import type { Ice } from './ice.ts'
import type { Site } from './site.ts'

/** An RTCIceServer (W3C WebRTC §4.2.4): what RTCPeerConnection takes as it is. */
export interface IceServer {
  readonly urls: readonly string[]
  readonly username?: string
  readonly credential?: string
}

/**
 * Returns what a TURN server lets in until `expires`, in seconds since the epoch: the scheme of
 * draft-uberti-behave-turn-rest-00 §2.2, which coturn calls use-auth-secret. The id has no influence but on its quotas and log.
 */
export function turnCredential(secret: string, id: string, expires: number): { username: string; credential: string } {
  const username = `${expires}:${id}`
  return { username, credential: createHmac('sha1', secret).update(username).digest('base64') }
}

/** Returns the servers for one user of a site. A site id has no dot, so the first one ends it. */
export function iceServers({ stun, turn, secret, ttl }: Ice, site: Site, user: UserId, nowMs: number): IceServer[] {
  const servers: IceServer[] = stun.length > 0 ? [{ urls: stun }] : []
  if (secret === undefined) return servers
  const expires = Math.floor(nowMs / 1000) + ttl
  return [...servers, { urls: turn, ...turnCredential(secret, `${site.id}.${user}`, expires) }]
}
