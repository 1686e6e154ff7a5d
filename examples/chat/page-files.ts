import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

// A closed list: a path from outside never becomes a path on the disk.
const FILES: Record<string, string> = {
  '/': 'index.html',
  '/style.css': 'style.css',
  '/app.js': 'app.js',
  '/elements.js': 'elements.js',
  '/origin.js': 'origin.js',
  '/relay.js': 'relay.js',
  '/view.js': 'view.js',
  '/icon.svg': 'icon.svg',
}

const TYPES: Record<string, string> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  svg: 'image/svg+xml',
}

/** The root of the package: the compiler puts this file into dist/, but the page has no build step and stays in the source tree. */
export const packageRoot = rootAbove(import.meta.dirname)

/** Returns a file of the page, read anew each time so that a change shows with the next reload. */
export async function readPageFile(path: string): Promise<{ type: string; content: Buffer } | undefined> {
  const name = Object.hasOwn(FILES, path) ? FILES[path] : undefined
  if (name === undefined) return undefined
  const type = TYPES[name.slice(name.lastIndexOf('.') + 1)] ?? 'application/octet-stream'
  return { type, content: await readFile(join(packageRoot, 'examples/chat/page', name)) }
}

function rootAbove(folder: string): string {
  return existsSync(join(folder, 'package.json')) ? folder : rootAbove(dirname(folder))
}
