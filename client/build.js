// The single-file builds: for a plain <script> tag, and for the SharedWorker, which is the same file.
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const common = {
  absWorkingDir: fileURLToPath(new URL('.', import.meta.url)),
  outdir: 'dist/script',
  bundle: true,
  minify: true,
  format: 'iife',
  target: 'es2022',
  legalComments: 'none',
}

// It sets `Throughline` itself, and in a worker nothing.
await build({ ...common, entryPoints: { throughline: 'src/script.ts' } })
await build({ ...common, entryPoints: { e2e: 'src/e2e/index.ts' }, globalName: 'ThroughlineE2e' })
