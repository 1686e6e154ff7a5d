import { type SecretKey, serverToken } from './tokens.ts'

const TIMEOUT_MS = 6000 // the relay itself answers within 5 s, even when its bus is down

/** The origin's calls to the relay. */
export class RelayApi {
  readonly #site: string
  readonly #key: SecretKey
  readonly #url: string

  /** `url`: where the relay's HTTP API is, such as `http://127.0.0.1:8081`. */
  constructor(site: string, key: SecretKey, url: string) {
    this.#site = site
    this.#key = key
    this.#url = url
  }

  /** Returns HTTP status and body; status 0 if there was no answer. */
  async post(path: string, body: object): Promise<{ status: number; body: unknown }> {
    try {
      const response = await fetch(`${this.#url}${path}`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${serverToken(this.#site, this.#key)}`,
          'content-type': 'application/json',
        },
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(TIMEOUT_MS),
      })
      return { status: response.status, body: await response.json() }
    } catch {
      return { status: 0, body: undefined }
    }
  }

  /** Returns the stamps of the newest events of these chains; none while the relay is away, and then pages ask for everything. */
  async heads(chains: readonly string[]): Promise<Record<string, number>> {
    const { status, body } = await this.post('/v1/heads', { chains })
    return status === 200 ? (body as { heads: Record<string, number> }).heads : {}
  }
}
