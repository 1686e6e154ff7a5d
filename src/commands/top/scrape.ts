import { steadyClock } from '../../lib/clock.ts'
import { readSamples, type Sample } from './samples.ts'

/** What a node told of itself at one moment. */
export interface Scrape {
  /** Milliseconds, of the steady clock. */
  readonly at: number
  readonly samples: readonly Sample[]
  /** What it told of its sites; undefined if it did not. */
  readonly sites?: readonly Sample[] | undefined
}

/** Why a node told nothing. */
export interface Down {
  readonly down: string
}

/** Asks a node's admin port for its numbers. Never rejects: a node that is down is a thing to be shown. */
export async function scrape(admin: string, patienceMs: number): Promise<Scrape | Down> {
  try {
    const request = { redirect: 'manual', signal: AbortSignal.timeout(patienceMs) } as const
    const [answer, sites] = await Promise.all([
      fetch(`${admin}/metrics`, request),
      scrapeSites(`${admin}/metrics/sites`, request),
    ])
    if (!answer.ok) return { down: `HTTP ${answer.status}` }
    const samples = readSamples(await answer.text())
    if (!samples.some(({ name }) => name === 'throughline_build_info')) return { down: 'no relay' }
    return { at: steadyClock.now(), samples, sites }
  } catch (error) {
    if ((error as Error).name === 'TimeoutError') return { down: `no answer within ${patienceMs / 1000} s` }
    const cause = ((error as Error).cause ?? error) as NodeJS.ErrnoException
    return { down: cause.code ?? cause.message }
  }
}

/** A node that has no such numbers, or is slow with them, is no node that is down. */
async function scrapeSites(url: string, request: RequestInit): Promise<Sample[] | undefined> {
  try {
    const answer = await fetch(url, request)
    return answer.ok ? readSamples(await answer.text()) : undefined
  } catch {
    return undefined
  }
}
