import { readFileSync } from 'node:fs'
import type { Scope } from '../trust/trust.ts'
import type { SiteId } from '../protocol/ids.ts'
import { parsed } from './arguments.ts'
import { Failure } from './command.ts'
import { parseObject } from './jwk.ts'
import { SITE_FILE } from './site-file.ts'
import { serverClaims, signingKey, siteToken } from './token.ts'

const API = 'http://127.0.0.1:8081'
const TOKEN_SECONDS = 60

/** The options of every command that calls a relay as a site's server does, */
export const API_OPTIONS = {
  api: { type: 'string', default: API },
  sites: { type: 'string', default: SITE_FILE },
  key: { type: 'string' },
  licence: { type: 'string' },
} as const

/** and what its help says of them. */
export const API_HELP = `  --api          where the API is (default ${API})
  --sites        the site file, whose secret of the site signs the call (default ${SITE_FILE})
  --key          a file with the private key or secret (a JWK) that signs instead
  --licence      a file with the site's licence, for a relay that has the site in no site file`

interface ApiValues {
  readonly api: string
  readonly sites: string
  readonly key?: string | undefined
  readonly licence?: string | undefined
}

/** Returns where a path of the API is. Throws a UsageError. */
export function apiUrl({ api }: ApiValues, path: string): string {
  return baseUrl(api, '--api') + path
}

/** Returns an option's URL, to which a path can be added. Throws a UsageError. */
export function baseUrl(text: string, option: string): string {
  return parsed(text, option, parseUrl, 'an http or https URL')
}

export type Method = 'GET' | 'POST'

/** Calls a relay as a site's server does, with GET if there is no body, and returns the answer's text. Rejects with a Failure. */
export async function callApi(
  url: string,
  { sites, key, licence }: ApiValues,
  site: SiteId,
  scope: Scope,
  body: Buffer | string | undefined,
  patienceMs: number,
): Promise<string> {
  const token = await siteToken(
    signingKey({ sites, ...(key === undefined ? {} : { key }) }, site),
    site,
    TOKEN_SECONDS,
    serverClaims(scope),
  )
  const shown = licence === undefined ? {} : { 'Throughline-Licence': readFileSync(licence, 'utf8').trim() }
  const type = body === undefined ? {} : { 'Content-Type': 'application/json' }
  return answerOf(url, '--api', {
    headers: { Authorization: `Bearer ${token}`, ...type, ...shown },
    ...(body === undefined ? {} : { method: 'POST', body }),
    redirect: 'manual',
    signal: AbortSignal.timeout(patienceMs),
  })
}

/** Returns the text that a relay answers. Rejects with a Failure. */
export async function answerOf(url: string, option: '--api' | '--admin', request: RequestInit): Promise<string> {
  const answer = await reach(url, request)
  const text = (await answer.text()).trim()
  if (answer.ok) return text
  const problem = answer.headers.get('content-type')?.startsWith('application/problem+json')
    ? parseObject(text)
    : undefined
  if (problem === undefined) {
    throw new Failure(`${url} answered ${answer.status}, and not as a relay; is ${option} right?`)
  }
  throw new Failure(`${String(problem['code'])}: ${String(problem['detail'] ?? problem['title'])}`)
}

async function reach(url: string, request: RequestInit): Promise<Response> {
  try {
    return await fetch(url, request)
  } catch (error) {
    // fetch says only "fetch failed"; what happened stands in the cause.
    const cause = ((error as Error).cause ?? error) as NodeJS.ErrnoException
    throw new Failure(`cannot reach ${url} (${cause.code ?? cause.message}); is a node running there?`)
  }
}

function parseUrl(text: string): string | undefined {
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) return undefined
  return text.replace(/\/+$/, '')
}
