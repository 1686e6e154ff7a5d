import { readFileSync } from 'node:fs'
import { version } from '../../config/version.ts'
import { loadUws, UwsError } from '../../gateway/uws.ts'
import { found, ok, type Patient, type Result } from './check.ts'

/** uWebSockets.js asks the kernel to hold so many connections until it takes them (libusockets' LIBUS_LISTEN backlog). */
const BACKLOG = 512
const SOMAXCONN = '/proc/sys/net/core/somaxconn'

/** What runs here: Node.js, the C library, the uWebSockets.js binary, and what the kernel lets wait. */
export async function software({ config }: Patient): Promise<readonly Result[]> {
  return [loaded(config.uwsBinary), ...queue(SOMAXCONN)]
}

function loaded(own: string | undefined): Result {
  try {
    const uws = loadUws(own)
    const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } }
    const glibc = header?.glibcVersionRuntime === undefined ? '' : `, glibc ${header.glibcVersionRuntime}`
    return ok(`throughline ${version()}, Node ${process.versions.node}${glibc}, uWebSockets.js ${uws.version}`)
  } catch (error) {
    if (!(error instanceof UwsError)) throw error
    return found('uws_missing', error.message)
  }
}

/** Tells whether bursts of connections find room. Only Linux says how much there is. */
export function queue(file: string): Result[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8').trim()
  } catch {
    return []
  }
  const says = `net.core.somaxconn is ${text}`
  return [Number(text) < BACKLOG ? found('somaxconn_small', `${says}, less than ${BACKLOG}`) : ok(says)]
}
