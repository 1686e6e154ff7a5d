import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { type Listen, listenText } from '../../config/listen.ts'
import { readSamples } from '../top/samples.ts'

/** A node of ours, as its admin port tells. */
export interface RunningNode {
  readonly version: string
  /** How many files each of its processes may open; undefined where that is not told. */
  readonly maxFiles: number | undefined
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

const PATIENCE_MS = 2000
const MOST_BYTES = 4 * 1024 * 1024

/** Returns what host to reach a listen address by from this machine. */
export function reachable({ host, port }: Listen): string {
  const here = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return listenText({ host: here, port })
}

/** Asks the admin port; undefined when no relay answers there. With several workers, their numbers come added up. */
export async function findNode(admin: Listen, workers: number): Promise<RunningNode | undefined> {
  if (admin.port === 0) return undefined
  const answer = await get(`http://${reachable(admin)}/metrics`)
  const samples = readSamples(answer?.body ?? '')
  const version = samples.find(({ name }) => name === 'throughline_build_info')?.labels['version']
  if (version === undefined) return undefined
  const files = samples.find(({ name }) => name === 'process_max_fds')?.value
  return { version, maxFiles: files === undefined ? undefined : files / workers }
}

/**
 * Returns an HTTP answer, whoever the certificate is made out to: this only finds out what it is that answers. Undefined
 * when nothing does within 2 s.
 */
export function get(url: string): Promise<Answer | undefined> {
  return new Promise(resolve => {
    const none = (): void => resolve(undefined)
    const options = { timeout: PATIENCE_MS, signal: AbortSignal.timeout(PATIENCE_MS), rejectUnauthorized: false }
    const request = (url.startsWith('https:') ? httpsRequest : httpRequest)(url, options, response => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (text: string) => {
        body += text
        if (body.length > MOST_BYTES) response.destroy()
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
      response.on('error', none)
      response.on('close', none)
    })
    request.on('error', none)
    request.end()
  })
}
