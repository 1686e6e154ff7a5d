import { readNodeLimits } from '../../trust/trust.ts'
import { found, ok, type Patient, type Result } from './check.ts'

/** What a node has open beside its sockets: ports, logs, Redis, callbacks. */
const OTHERS = 256
/** What a busy node is likely to need, and systemd's default hard limit is half a million. */
const COMFORT = 65_536

interface Limits {
  readonly userLimits?: { readonly open_files?: { readonly hard: number | string } }
}

/** Compares how many files may be open with how many connections are to come: each is one. */
export async function files({ config, node }: Patient): Promise<readonly Result[]> {
  const { caps } = await readNodeLimits(config.limits)
  const running = (await node())?.maxFiles
  const [most, whose] = running === undefined ? [ownLimit(), 'this shell'] : [running, 'the running node']
  return [judgeFiles(most, whose, caps.connections, config.workers)]
}

/** Returns what a process started here may open: Node.js raises its soft limit to the hard one when it starts. */
function ownLimit(): number {
  const hard = (process.report.getReport() as Limits).userLimits?.open_files?.hard
  return typeof hard === 'number' ? hard : Infinity
}

export function judgeFiles(most: number, whose: string, connections: number | undefined, workers: number): Result {
  const room = (most - OTHERS) * workers
  const says = `${whose} may open ${most} files${workers > 1 ? ' in each worker' : ''}`
  if (connections !== undefined && room < connections) {
    return found('files_few', `${says}, too few for the ${connections} connections of THROUGHLINE_LIMITS`)
  }
  if (most < COMFORT && connections === undefined) {
    return found('files_low', `${says}, so there is room for ${Math.max(0, room)} connections`)
  }
  return ok(says)
}
