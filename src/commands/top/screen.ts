import type { ReadStream, WriteStream } from 'node:tty'

const ESC = '\x1b['
// xterm's: the other screen, so that what was there comes back; the cursor away.
const ENTER = `${ESC}?1049h${ESC}?25l`
const LEAVE = `${ESC}?25h${ESC}?1049l`
const HOME = `${ESC}H`
const REST_OF_LINE = `${ESC}K`
const REST_OF_SCREEN = `${ESC}J`
const CTRL_C = '\x03'

/** A terminal that shows one frame after the other. It must be closed, however the command ends. */
export class Screen {
  readonly #out: WriteStream
  readonly #in: ReadStream
  /** Resolves when the user wants to go: by q, Ctrl-C, or a signal. */
  readonly quit: Promise<void>

  constructor(out: WriteStream, input: ReadStream) {
    this.#out = out
    this.#in = input
    this.quit = new Promise(resolve => {
      input.on('data', (keys: Buffer) => {
        if (/[qQ]/.test(keys.toString()) || keys.includes(CTRL_C)) resolve()
      })
      for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => resolve())
    })
    if (input.isTTY) input.setRawMode(true)
    input.resume()
    out.write(ENTER)
  }

  show(lines: readonly string[]): void {
    // A terminal that does not know its size says 0.
    const [columns, rows] = [this.#out.columns || Infinity, this.#out.rows || Infinity]
    const fitting = lines.slice(0, rows).map(line => line.slice(0, columns) + REST_OF_LINE)
    this.#out.write(HOME + fitting.join('\r\n') + REST_OF_SCREEN)
  }

  close(): void {
    this.#out.write(LEAVE)
    if (this.#in.isTTY) this.#in.setRawMode(false)
    this.#in.pause()
  }
}
