import { readFileSync } from 'node:fs'
import { ConfigError } from './config-error.ts'

const LINE = /^([A-Za-z_][A-Za-z0-9_]*)=(.*)$/

/** Reads `NAME=value` lines. Values stand as they are, without quotes; `#` makes a comment only at the start of a line. */
export function readConfigFile(path: string): Map<string, string> {
  const values = new Map<string, string>()
  for (const [index, raw] of readLines(path).entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    const [, name, value] = LINE.exec(line) ?? []
    const place = `line ${index + 1} of ${path}`
    // Neither message shows the line: it may hold a secret.
    if (name === undefined || value === undefined) {
      throw new ConfigError('--config', `expected NAME=value in ${place}, found something else`)
    }
    if (values.has(name)) throw new ConfigError(name, `expected once, found again in ${place}`)
    values.set(name, value.trim())
  }
  return values
}

function readLines(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new ConfigError('--config', `expected a readable file, found none at ${path} (${code})`)
  }
}
