/** The event that all scenarios publish: 128 bytes of `data`, and the frame that Throughline makes of it. */

const DATA_BYTES = 128
const DIGITS = 16
const PADDING = 'x'.repeat(DATA_BYTES - DIGITS - 2)

/** Returns 128 bytes of JSON that carry a moment in whole microseconds. */
export function dataAt(micros: number): string {
  return `"${String(Math.round(micros)).padStart(DIGITS, '0')}${PADDING}"`
}

/** Reads the moment out of a frame's bytes: `data` is the last member of each contestant's frame. */
export function momentIn(bytes: Buffer, end: number): number {
  let micros = 0
  const start = end - 1 - DATA_BYTES + 1
  for (let i = start; i < start + DIGITS; i++) micros = micros * 10 + (bytes[i] ?? 0) - 48
  return micros
}

/** Returns a frame as Throughline makes it, byte for byte as long: what the ceiling is given to publish. */
export function frameOf(thread: string, data: string): string {
  return (
    `{"op":"event","chain":"thread:${thread}","stamp":1700000000000001,"prev":1700000000000000,` +
    `"id":"AAAAAAAAAAAAAAAAAAAAAA","type":"message","thread":"${thread}","at":1700000000000,"data":${data}}`
  )
}

/** The same with the users' chain, which is their own. */
export function frameToUser(data: string): string {
  return (
    `{"op":"event","chain":"user","stamp":1700000000000001,"prev":1700000000000000,` +
    `"id":"AAAAAAAAAAAAAAAAAAAAAA","type":"message","at":1700000000000,"data":${data}}`
  )
}

/** What Throughline makes of a client's `send` with `{}` as data. */
export function frameOfSend(thread: string): string {
  return (
    `{"op":"event","id":"AAAAAAAAAAAA.AAAAAAAAA","type":"typing","thread":"${thread}","at":1700000000000,` +
    `"sender":{"user":"u1000","connection":"AAAAAAAA.AA"},"data":{}}`
  )
}

export function post(path: string, headers: string, body: string): Buffer {
  return Buffer.from(
    `POST ${path} HTTP/1.1\r\nHost: bench\r\n${headers}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    'latin1',
  )
}
