import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext } from 'node:tls'
import type * as UWS from 'uws-20.56'
import { type Cancel, every } from '../lib/clock.ts'
import type { Log } from '../observe/log.ts'

export interface CertificateFiles {
  /** PEM: the server's own certificate first, then the chain up to the root. */
  readonly cert: string
  /** PEM, without a passphrase. */
  readonly key: string
}

/** Stops the start: names the variable; the message says what was expected and what was found. */
export class CertificateError extends Error {
  override readonly name = 'CertificateError'
  readonly variable: string

  constructor(variable: 'THROUGHLINE_TLS_CERT' | 'THROUGHLINE_TLS_KEY', message: string) {
    super(message)
    this.variable = variable
  }
}

const RELOAD_MS = 1000

/** Reads a certificate and its key and keeps up with the files. Rejects with a CertificateError when they are wrong. */
export async function openCertificate(files: CertificateFiles, log: Log): Promise<Certificate> {
  const pair = await readPair(files)
  const fault = faultOf(pair, files)
  if (fault !== undefined) throw fault
  return new Certificate(files, pair, log)
}

/** A pair of files that are looked at every second. A pair that does not load keeps the last good one in use. */
export class Certificate {
  readonly #files: CertificateFiles
  readonly #log: Log
  readonly #listeners: (() => void)[] = []
  readonly #stop: Cancel
  #seen: Pair
  /** What is wrong with what was seen, until it has been told. */
  #fault: CertificateError | undefined
  #busy = false

  constructor(files: CertificateFiles, pair: Pair, log: Log) {
    this.#files = files
    this.#log = log
    this.#seen = pair
    // Contents are compared, not times, and nothing is watched, for the reasons that trust/held-file.ts gives.
    this.#stop = every(RELOAD_MS, () => void this.#poll())
    this.#tell(pair)
  }

  /** Makes an app that speaks TLS 1.2 and 1.3, and nothing older. Throws a CertificateError when uWebSockets cannot. */
  app(uws: typeof UWS): UWS.TemplatedApp {
    const { cert, key } = this.#files
    try {
      return uws.SSLApp({ cert_file_name: cert, key_file_name: key, ssl_prefer_low_memory_usage: true })
    } catch {
      // It reads the files itself: they may have changed again since, and then they are looked at again.
      throw wrong('CERT', 'a certificate that uWebSockets.js takes', `none in ${cert} and ${key}`)
    }
  }

  /** Calls `listener` when the files hold another good pair. It may throw as `app` does. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener)
  }

  close(): void {
    this.#stop()
  }

  async #poll(): Promise<void> {
    if (this.#busy) return
    this.#busy = true
    this.#look(await readPair(this.#files))
    this.#busy = false
  }

  #look(pair: Pair): void {
    if (this.#seen.every((part, i) => isSame(part, pair[i]!))) {
      // Told at the second look: the two files are replaced one after the other.
      if (this.#fault !== undefined) this.#refuse(this.#fault)
      this.#fault = undefined
      return
    }
    this.#seen = pair
    this.#fault = faultOf(pair, this.#files)
    if (this.#fault === undefined) this.#takeOver(pair)
  }

  #takeOver(pair: Pair): void {
    try {
      for (const listener of this.#listeners) listener()
    } catch (error) {
      this.#refuse(error as Error)
      return
    }
    this.#tell(pair)
  }

  #tell([cert]: Pair): void {
    const { subject, validTo, fingerprint256 } = new X509Certificate(cert)
    this.#log.info({ subject, validTo, fingerprint256 }, 'certificate loaded')
  }

  #refuse(error: Error): void {
    const { cert, key } = this.#files
    this.#log.warn({ cert, key }, `the certificate was not reloaded, the last good one still counts: ${error.message}`)
  }
}

/** The bytes of certificate and key; for a file that cannot be read, why. */
type Pair = readonly [cert: Buffer | string, key: Buffer | string]

async function readPair({ cert, key }: CertificateFiles): Promise<Pair> {
  return [await readOrFail(cert), await readOrFail(key)]
}

async function readOrFail(path: string): Promise<Buffer | string> {
  try {
    return await readFile(path)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown error'
  }
}

/** Returns what is wrong with a pair. Words never quote the files. */
function faultOf([cert, key]: Pair, paths: CertificateFiles): CertificateError | undefined {
  if (typeof cert === 'string') return wrong('CERT', 'a readable file', `none at ${paths.cert} (${cert})`)
  if (typeof key === 'string') return wrong('KEY', 'a readable file', `none at ${paths.key} (${key})`)
  const own = readCertificate(cert)
  if (own === undefined) {
    return wrong('CERT', "PEM certificates, the server's own first", `something else in ${paths.cert}`)
  }
  const privateKey = readKey(key)
  if (privateKey === undefined) {
    return wrong('KEY', 'a PEM private key without a passphrase', `something else in ${paths.key}`)
  }
  if (own.checkPrivateKey(privateKey)) return undefined
  return wrong('KEY', `the private key of the certificate in ${paths.cert}`, `another one's in ${paths.key}`)
}

function wrong(name: 'CERT' | 'KEY', expected: string, found: string): CertificateError {
  return new CertificateError(`THROUGHLINE_TLS_${name}`, `expected ${expected}, found ${found}`)
}

function readCertificate(cert: Buffer): X509Certificate | undefined {
  try {
    // Throws for what is no PEM, or when the chain behind the first certificate is broken.
    createSecureContext({ cert })
    return new X509Certificate(cert)
  } catch {
    return undefined
  }
}

function readKey(key: Buffer): KeyObject | undefined {
  try {
    return createPrivateKey(key)
  } catch {
    return undefined
  }
}

function isSame(a: Buffer | string, b: Buffer | string): boolean {
  return typeof a === 'string' || typeof b === 'string' ? a === b : a.equals(b)
}
