import { CertificateError } from '../../gateway/certificate.ts'
import type { Config } from '../../config/schema.ts'
import { type Clock, within } from '../../lib/clock.ts'
import { openServers, type RedisServers } from '../../redis/facts.ts'
import { TrustConfigError } from '../../trust/trust.ts'
import { type Check, found, type Options, type Patient, type Result } from './check.ts'
import { CHECKS } from './checks.ts'
import { findNode } from './running-node.ts'
import { readSiteEntries } from './sites.ts'

/** A result, and the check that it is from. */
export interface Line extends Result {
  readonly check: string
}

const WITHIN_MS = 5000

/** Makes one check after the other, so that none is slowed down by what another does, and tells what each has seen. */
export async function* examine(config: Config, options: Options, clock: Clock): AsyncGenerator<Line> {
  const servers = once(() => (config.bus.kind === 'memory' ? Promise.resolve(undefined) : openServers(config.bus)))
  const patient: Patient = {
    config,
    clock,
    options,
    node: once(() => findNode(config.adminListen, config.workers)),
    sites: once(() => readSiteEntries(config, clock)),
    redis: servers,
  }
  try {
    for (const check of CHECKS) yield* await make(check, patient)
  } finally {
    await close(servers)
  }
}

async function close(servers: () => Promise<RedisServers | undefined>): Promise<void> {
  ;(await servers())?.close()
}

/** Makes one check. Whatever becomes of it is a result: it must not hide those of the others. */
export async function make({ name, run, withinMs = WITHIN_MS }: Check, patient: Patient): Promise<Line[]> {
  const late = [found('no_answer', `no answer within ${withinMs / 1000} s`)]
  const work = run(patient).catch((error: unknown) => [fault(error)])
  const results = await within<readonly Result[]>(withinMs, work, late)
  return results.map(result => Object.assign({ check: name }, result))
}

function fault(error: unknown): Result {
  if (error instanceof TrustConfigError || error instanceof CertificateError) {
    return found('configuration_wrong', `${error.variable}: ${error.message}`)
  }
  return found('check_failed', error instanceof Error ? error.message : String(error))
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => (made ??= make())
}
