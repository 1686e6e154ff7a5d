import { readCallbackKey } from '../../trust/trust.ts'
import { found, ok, type Patient, type Result, skipped } from './check.ts'

/** Tells whether callbacks are signed with a key of the operator's, or with one that the relay made. */
export async function callbackKey({ config, sites }: Patient): Promise<readonly Result[]> {
  const key = await readCallbackKey(config.callbackKey)
  if (key !== undefined) return [ok('THROUGHLINE_CALLBACK_KEY is a private Ed25519 key')]
  const entries = await sites().catch(() => undefined)
  if (entries === undefined) return [skipped('what is configured of sites is wrong')]
  const anybody = [...entries.values()].some(({ callback }) => callback !== undefined)
  if (!anybody && config.operatorJwks === undefined) return [skipped('no site has a callback')]
  const where = config.bus.kind === 'memory' ? 'ends with the process' : 'lies in Redis'
  return [found('callback_key_made', `THROUGHLINE_CALLBACK_KEY is not set: the key is made by the relay and ${where}`)]
}
