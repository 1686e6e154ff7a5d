// The single-file builds: for a plain <script> tag, and for the SharedWorker, which is the same file.
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

await build({
  absWorkingDir: fileURLToPath(new URL('.', import.meta.url)),
  entryPoints: { throughline: 'src/script.ts' },
  outdir: 'dist/script',
  bundle: true,
  minify: true,
  format: 'iife',
  globalName: 'Throughline',
  target: 'es2022',
  legalComments: 'none',
})
