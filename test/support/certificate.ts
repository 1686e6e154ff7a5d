import { execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Teardown } from './relay.ts'

/** A certificate for 127.0.0.1 that signs itself, so that it is its own authority. */
export interface Pair {
  readonly cert: string
  readonly key: string
  readonly fingerprint: string
}

export function makePair(): Pair {
  const folder = mkdtempSync(join(tmpdir(), 'throughline-tls-'))
  try {
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc']
    const subject = ['-subj', '/CN=throughline test', '-addext', 'subjectAltName=IP:127.0.0.1']
    const args = ['req', '-x509', '-days', '1', ...kind, ...subject, '-keyout', key, '-out', cert]
    execFileSync('openssl', args, { stdio: 'ignore' })
    const pem = readFileSync(cert, 'utf8')
    return { cert: pem, key: readFileSync(key, 'utf8'), fingerprint: new X509Certificate(pem).fingerprint256 }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** The two files as certbot leaves them: each replaced in one step, one after the other. */
export class PairFiles {
  readonly cert: string
  readonly key: string

  constructor(t: Teardown, pair: Pair) {
    const folder = mkdtempSync(join(tmpdir(), 'throughline-tls-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    this.cert = join(folder, 'fullchain.pem')
    this.key = join(folder, 'privkey.pem')
    this.put(pair)
  }

  get environment(): Record<string, string> {
    return { THROUGHLINE_TLS_CERT: this.cert, THROUGHLINE_TLS_KEY: this.key }
  }

  put({ cert, key }: Partial<Pair>): void {
    for (const [path, text] of [
      [this.cert, cert],
      [this.key, key],
    ] as const) {
      if (text === undefined) continue
      writeFileSync(`${path}.new`, text, { mode: 0o600 })
      renameSync(`${path}.new`, path)
    }
  }
}
