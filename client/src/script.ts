/** The single-file build: what a page gets by a plain <script> tag, as `Throughline`. */
import { connect, RelayError } from './index.ts'

Object.assign(globalThis, { Throughline: { connect, RelayError } })
