import type { SiteId } from '../protocol/ids.ts'
import { answerOf, baseUrl, type Method } from './api.ts'

/** Asks a node's admin port about a site, as the operator, and returns the answer's text. Rejects with a Failure, or a UsageError. */
export async function callAdmin(
  admin: string,
  method: Method,
  path: string,
  site: SiteId,
  patienceMs: number,
): Promise<string> {
  const url = baseUrl(admin, '--admin') + path
  const signal = AbortSignal.timeout(patienceMs)
  if (method === 'GET') return answerOf(`${url}?site=${site}`, '--admin', { redirect: 'manual', signal })
  const headers = { 'Content-Type': 'application/json' }
  return answerOf(url, '--admin', { method, headers, body: JSON.stringify({ site }), redirect: 'manual', signal })
}
