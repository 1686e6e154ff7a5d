import { own } from './errors.ts'
import { parseFrame, type Refusal, type RelayFrame } from './frames.ts'
import { createPending } from './pending.ts'

const PROTOCOL = 'throughline.v1'
const ANSWER_MS = 10_000
// Two heartbeats without a frame, and some time on the way.
const SILENT_HEARTBEATS = 2.5
// After a sleep timers go on where they stopped: with short steps a dead link is noticed soon after.
const LOOK_MS = 5000
// Also after a sleep: what came meanwhile may still be unread then, so that silence has to be found twice.
const AGAIN_MS = 1000
const LOST = 1006

/** A frame for the relay that gets its `id` here. */
export type Ask = { readonly op: string } & Readonly<Record<string, unknown>>

/** One WebSocket: frames in and out, answers by their id, and the silence that tells a dead link. */
export interface Socket {
  send: (frame: object) => void
  /** Resolves with the answer; rejects with its error, `timeout`, or `closed` when the socket ends first. */
  request: (frame: Ask) => Promise<unknown>
  /** Says how long a silence may be; until then it is 10 s. */
  beat: (seconds: number) => void
  /** Milliseconds since anything was heard. */
  silentMs: () => number
  /** Ends it without a word to `onclose`. */
  close: () => void
}

export interface SocketOptions {
  readonly WebSocket: typeof WebSocket
  readonly url: string
  readonly onopen: () => void
  /** Is given every sound frame, before the promise of its request settles. */
  readonly onframe: (frame: RelayFrame) => void
  /** Is called once, at the end, unless the end came by `close`. */
  readonly onclose: (code: number, reason: string) => void
  readonly onerror: (error: Refusal) => void
}

export function openSocket({ WebSocket, url, onopen, onframe, onclose, onerror }: SocketOptions): Socket {
  const pending = createPending()
  let heard = Date.now()
  let silence = ANSWER_MS
  let timer: ReturnType<typeof setTimeout>
  let isSilent = false
  let isOver = false
  const socket: WebSocket & { readonly terminate?: () => void } = new WebSocket(url, PROTOCOL)

  const end = (code?: number, reason = ''): void => {
    if (isOver) return
    isOver = true
    clearTimeout(timer)
    socket.onopen = socket.onmessage = socket.onclose = null
    // Where one can, a dead link is not waited for: in Node it would keep the process.
    if (code === LOST && socket.terminate) socket.terminate()
    else socket.close()
    pending.fail(own('closed'))
    if (code) onclose(code, reason)
  }
  const silentMs = (): number => Date.now() - heard
  const look = (): void => {
    const left = silence - silentMs()
    if (left <= 0 && isSilent) return end(LOST)
    isSilent = left <= 0
    timer = setTimeout(look, isSilent ? AGAIN_MS : Math.min(left, LOOK_MS))
  }
  const send = (frame: object): void => {
    if (socket.readyState === 1) socket.send(JSON.stringify(frame))
  }

  socket.onopen = () => {
    heard = Date.now()
    onopen()
  }
  socket.onmessage = ({ data }) => {
    heard = Date.now()
    try {
      const frame = parseFrame(data)!
      onframe(frame)
      if (frame.op !== 'event') pending.settle(frame.id, frame.op === 'error' ? frame : undefined, frame)
    } catch (error) {
      onerror({ code: 'bad_frame', message: String(error) })
    }
  }
  socket.onclose = ({ code, reason }) => end(code, reason)
  socket.onerror = () => {} // `close` follows
  look()
  return {
    send,
    silentMs,
    // op and id first: docs/protocol.md, Limits.
    request: ({ op, ...fields }) => pending.ask(ANSWER_MS, id => send({ op, id, ...fields })),
    beat(seconds) {
      silence = seconds * 1000 * SILENT_HEARTBEATS
    },
    close: () => end(),
  }
}
