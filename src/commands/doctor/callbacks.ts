import type { Diagnosis } from '../../callbacks/diagnose/diagnose.ts'
import { callApi } from '../api.ts'
import { Failure } from '../command.ts'
import { found, ok, type Patient, type Result, skipped } from './check.ts'
import { nodeAt } from './round-trip.ts'
import { NO_SIGNER, type Signer, signers } from './signer.ts'

/** A test of a slow site takes up to a minute. */
export const CALLBACKS_MS = 90_000
const AT_ONCE = 4

/** Has a running node call the callback of each site, as `throughline callback test` does for one. */
export async function callbacks(patient: Patient): Promise<readonly Result[]> {
  const { site, key } = patient.options
  // Of a site that is known by its licence alone only the node knows whether it has a callback.
  const given = site !== undefined && key !== undefined
  const tested = await signers(patient, entry => given || entry?.callback !== undefined)
  if (tested.length === 0)
    return [skipped(given || site === undefined ? 'no site has a callback and a secret' : NO_SIGNER)]
  const where = await nodeAt(patient)
  if ('level' in where) return [where]
  const results: Result[] = []
  const queue = [...tested]
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) results.push(await test(where.api, next))
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return results
}

async function test(api: string, { site, values }: Signer): Promise<Result> {
  try {
    const answer = await callApi(`${api}/v1/callbacks/test`, { ...values, api }, site, 'manage', '{}', CALLBACKS_MS)
    const { ok: arrives, url, culprit } = JSON.parse(answer) as Diagnosis
    if (arrives) return ok(`callbacks of ${site} arrive at ${url}`)
    return found('callback_fails', `callbacks of ${site} do not arrive at ${url}: ${culprit?.says}. ${culprit?.remedy}`)
  } catch (error) {
    if (!(error instanceof Failure)) throw error
    if (error.message.startsWith('not_found')) return skipped(`${site} has no callback`)
    return found('callback_fails', `callbacks of ${site} cannot be tested: ${error.message}`)
  }
}
