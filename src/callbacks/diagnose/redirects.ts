import { PostFault, type Posted, type Poster } from '../post.ts'
import type { Found } from './culprits.ts'

const HOPS = 5
const HOP_MS = 5000
const LOGIN = /login|signin|sign-in|\/sso\b|\/auth\b/i

/** Tells whether an answer is a redirect. */
export function isRedirect({ status }: Posted): boolean {
  return [301, 302, 303, 307, 308].includes(status)
}

/**
 * Returns what a redirect is about. Goes where it leads, through the same guard and with nothing signed, to be able to
 * say which URL to write instead.
 */
export async function explainRedirect(poster: Poster, url: URL, first: Posted): Promise<Found> {
  const target = targetOf(url, first)
  if (target === undefined) return { culprit: 'redirect', seen: `HTTP ${first.status} without a place to go to` }
  if (LOGIN.test(target.pathname)) return { culprit: 'login_wall', seen: `redirects to ${shown(target)}` }
  const visited = new Set([url.href])
  let last = target
  for (let hop = 0; hop < HOPS; hop++) {
    if (visited.has(last.href))
      return { culprit: 'redirect_loop', seen: [...visited].map(href => shown(new URL(href))).join(', ') }
    visited.add(last.href)
    const next = await follow(poster, last)
    if (next === undefined) break
    last = next
  }
  return { culprit: kindOf(url, target), seen: `to ${shown(last)}` }
}

async function follow(poster: Poster, url: URL): Promise<URL | undefined> {
  try {
    const answer = await poster.post(url, {}, '{}', HOP_MS)
    return isRedirect(answer) ? targetOf(url, answer) : undefined
  } catch (error) {
    if (error instanceof PostFault) return undefined
    throw error
  }
}

function targetOf(url: URL, { headers: { location = '' } }: Posted): URL | undefined {
  return location !== '' && URL.canParse(location, url.href) ? new URL(location, url) : undefined
}

function kindOf(from: URL, to: URL): Found['culprit'] {
  if (from.hostname === to.hostname && from.protocol === 'http:' && to.protocol === 'https:') return 'redirect_https'
  if (from.hostname !== to.hostname && withoutWww(from) === withoutWww(to)) return 'redirect_www'
  return 'redirect'
}

function withoutWww({ hostname }: URL): string {
  return hostname.replace(/^www\./, '')
}

/** A place without what may be somebody's secret. */
function shown({ origin, pathname }: URL): string {
  return origin + pathname
}
