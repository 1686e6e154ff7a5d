import { readFile } from 'node:fs/promises'
import { type Cancel, every } from '../lib/clock.ts'
import { TrustConfigError, Wrong } from './wrong.ts'

export type Warn = (message: string, facts: object) => void

export interface FileOptions<T> {
  readonly path: string
  /** The variable that names the file, for messages. */
  readonly variable: string
  /** Throws Wrong when the content is not what it must be. */
  readonly parse: (bytes: Buffer) => Promise<T>
  readonly warn: Warn
  readonly reloadMs: number
  /** Called after another content was taken over. */
  readonly listener: () => void
}

/** The last good content of a file that is read again when it changes. */
export interface HeldFile<T> {
  readonly value: T
  close(): void
}

/** Reads a file and keeps up with it. Throws a TrustConfigError when it is missing or wrong at the start. */
export async function holdFile<T>(options: FileOptions<T>): Promise<HeldFile<T>> {
  const seen = await readOrFail(options.path)
  try {
    return new PolledFile(options, seen, await parseFile(seen, options))
  } catch (error) {
    throw error instanceof Wrong ? new TrustConfigError(options.variable, error.message) : error
  }
}

/** Returns what stands in for a file that is not configured. */
export function fixed<T>(value: T): HeldFile<T> {
  return { value, close: () => undefined }
}

/** The bytes, or why there are none. */
type Seen = Buffer | string

class PolledFile<T> implements HeldFile<T> {
  value: T
  readonly #options: FileOptions<T>
  #seen: Seen
  #busy = false
  readonly #stop: Cancel

  constructor(options: FileOptions<T>, seen: Seen, value: T) {
    this.#options = options
    this.#seen = seen
    this.value = value
    this.#stop = every(options.reloadMs, () => void this.#poll())
  }

  close(): void {
    this.#stop()
  }

  // Contents are compared, not times: two changes within one tick of the file system's clock look like one, and a
  // mounted file (a Kubernetes secret, say) changes behind a symbolic link, which is why nothing is watched either.
  async #poll(): Promise<void> {
    if (this.#busy) return
    this.#busy = true
    const seen = await readOrFail(this.#options.path)
    if (!isSame(seen, this.#seen)) {
      this.#seen = seen
      await this.#takeOver(seen)
    }
    this.#busy = false
  }

  async #takeOver(seen: Seen): Promise<void> {
    const { variable, path, warn, listener } = this.#options
    try {
      this.value = await parseFile(seen, this.#options)
    } catch (error) {
      // What else was thrown is a fault of ours; its words may quote the file, so only its name is told.
      const reason = error instanceof Wrong ? error.message : `internal fault (${(error as Error).name})`
      warn(`${variable} was not reloaded, the last good one still counts: ${reason}`, { variable, path })
      return
    }
    listener()
  }
}

async function readOrFail(path: string): Promise<Seen> {
  try {
    return await readFile(path)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown error'
  }
}

async function parseFile<T>(seen: Seen, { path, parse }: FileOptions<T>): Promise<T> {
  if (typeof seen === 'string') throw new Wrong(path, `expected a readable file, found none (${seen})`)
  try {
    return await parse(seen)
  } catch (error) {
    throw error instanceof Wrong ? new Wrong(path, error.message) : error
  }
}

function isSame(a: Seen, b: Seen): boolean {
  return typeof a === 'string' || typeof b === 'string' ? a === b : a.equals(b)
}
