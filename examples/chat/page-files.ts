import { existsSync, readdirSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** The root of the package: the compiler puts this file into dist/, but the page has no build step and stays in the source tree. */
export const packageRoot = rootAbove(import.meta.dirname)

// A closed list: a path from outside never becomes a path on the disk.
const PAGE = 'examples/chat/page'
const FILES: Record<string, string> = {
  '/': `${PAGE}/index.html`,
  '/throughline.js': 'client/dist/script/throughline.js',
  ...Object.fromEntries(readdirSync(join(packageRoot, PAGE)).map(name => [`/${name}`, `${PAGE}/${name}`])),
}

const TYPES: Record<string, string> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
}

/** Returns a file of the page, read anew each time so that a change shows with the next reload. */
export async function readPageFile(path: string): Promise<{ type: string; content: Buffer } | undefined> {
  const name = Object.hasOwn(FILES, path) ? FILES[path] : undefined
  if (name === undefined) return undefined
  const type = TYPES[name.slice(name.lastIndexOf('.') + 1)] ?? 'application/octet-stream'
  return { type, content: await readFile(join(packageRoot, name)) }
}

function rootAbove(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : rootAbove(dirname(folder))
}
