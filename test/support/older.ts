/** The relay as it was at an earlier commit, built from the history beside the one that is tested. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Teardown } from './relay.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

/** Tells why a commit cannot be built here, or false: a shallow clone and an archive have no history. */
export function lacksCommit(commit: string): string | false {
  try {
    execFileSync('git', ['-C', ROOT, 'cat-file', '-e', `${commit}^{commit}`], { stdio: 'ignore' })
    return false
  } catch {
    return `commit ${commit} is not here: git fetch --unshallow`
  }
}

/** Builds the relay of a commit, with the packages of now, and returns the file of its command. */
export function buildOlder(t: Teardown, commit: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'throughline-older-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const archive = execFileSync('git', ['-C', ROOT, 'archive', commit, 'src', 'package.json', 'tsconfig.json'], {
    maxBuffer: 1 << 26,
  })
  execFileSync('tar', ['-x', '-C', folder], { input: archive })
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  const config = { extends: './tsconfig.json', include: ['src'] }
  writeFileSync(join(folder, 'tsconfig.older.json'), JSON.stringify(config))
  // Without the loader that tap gives to whatever is started, since it breaks the compiler.
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
  execFileSync('env', ['-u', 'NODE_OPTIONS', process.execPath, compiler, '-p', join(folder, 'tsconfig.older.json')])
  return join(folder, 'dist/src/cli.js')
}
