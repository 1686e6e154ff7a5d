import { existsSync, readFileSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type * as UWS from 'uws-20.56'

export interface Uws {
  readonly uws: typeof UWS
  /** Of uWebSockets.js, such as `20.56.0`. */
  readonly version: string
  readonly file: string
}

// Newest first. uWebSockets.js is not on the npm registry under its own name; see docs/decisions/002-uwebsockets-binaries.md.
// A package may be missing: an image needs only the one that loads there.
const BUNDLED: readonly ((require: NodeJS.Require) => string)[] = [
  require => dirname(require.resolve('uws-20.56')),
  require => join(dirname(require.resolve('uws-20.30')), '../binaries'),
]
const BINARY = `uws_${process.platform}_${process.arch}_${process.versions.modules}.node`

const HEADER_BYTES = '16384'

/**
 * Loads uWebSockets.js: the operator's own release if `own` names one (a .node file, or a folder that holds them), else
 * the newest bundled binary that loads here. The .node files are loaded themselves, never a package's entry module, since
 * one of the packages would fall back to a server in JavaScript without a word.
 */
export function loadUws(own?: string): Uws {
  const require = createRequire(import.meta.url)
  const reasons: string[] = []
  // The binary reads this when it loads (20.56 does, 20.30 stays at 4 KiB): cookies, or a licence, may need more.
  process.env['UWS_HTTP_MAX_HEADERS_SIZE'] ??= HEADER_BYTES
  for (const find of own === undefined ? BUNDLED : [() => own]) {
    try {
      const found = find(require)
      const file = existsSync(found) && statSync(found).isDirectory() ? join(found, BINARY) : found
      return { uws: require(file) as typeof UWS, version: versionBeside(file), file }
    } catch (error) {
      reasons.push(reasonOf(error))
    }
  }
  throw new UwsError(reasons)
}

/** Tells in one line what to do when no binary loads. */
export class UwsError extends Error {
  constructor(reasons: readonly string[]) {
    const { version, platform, arch } = process
    const glibc = glibcVersion()
    super(
      `no uWebSockets.js binary loads on Node ${version} (${platform} ${arch}${glibc === undefined ? '' : `, glibc ${glibc}`}): ` +
        'use Node 20 with glibc 2.27 or newer, Node 22, 24 or 25 with glibc 2.38 or newer (Debian 13, Ubuntu 24.04), ' +
        `or name your own in UWS_BINARY; tried: ${reasons.join('; ')}`,
    )
  }
}

function versionBeside(file: string): string {
  for (const folder of [dirname(file), dirname(dirname(file))]) {
    try {
      const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version?: string }
      if (version !== undefined) return version.replace(/-.*/, '')
    } catch {
      // Not there: look one folder up, then give up.
    }
  }
  return 'unknown'
}

function glibcVersion(): string | undefined {
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } }
  return header?.glibcVersionRuntime
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)
}
