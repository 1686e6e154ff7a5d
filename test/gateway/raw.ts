import { connect } from 'node:net'
import type { Relay, Teardown } from '../support/relay.ts'
import { until } from '../support/until.ts'

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

/** Returns an upgrade request; `lines` are header lines to add. */
export function upgrade(...lines: string[]): Buffer {
  const head = ['GET /v1/ws HTTP/1.1', 'Host: x', 'Connection: Upgrade', 'Upgrade: websocket']
  const key = ['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Version: 13']
  return Buffer.from(`${[...head, ...key, ...lines].join('\r\n')}\r\n\r\n`, 'latin1')
}

/** Returns a PROXY protocol header, version 2, for an address of 4 or 16 bytes (haproxy.org, proxy-protocol.txt §2.2). */
export function proxyHeader(source: readonly number[]): Buffer {
  const family = source.length === 4 ? 0x11 : 0x21
  const addresses = Buffer.from([...source, ...source.map(() => 1), 0x12, 0x34, 0x1f, 0x90])
  return Buffer.concat([SIGNATURE, Buffer.from([0x21, family, 0, addresses.length]), addresses])
}

export interface Raw {
  /** What came so far. */
  text(): string
  closed(): boolean
  write(bytes: Buffer): void
  /** Calls `listener` with each part that comes from now on. */
  onData(listener: (text: string) => void): void
}

/** Opens a TCP connection to the WebSocket port; it ends with the test. */
export async function openRaw(t: Teardown, { ws }: Relay): Promise<Raw> {
  const { hostname, port } = new URL(ws)
  const socket = connect(Number(port), hostname)
  t.teardown(() => socket.destroy())
  let text = ''
  let closed = false
  socket.on('data', (data: Buffer) => {
    text += data.toString('latin1')
  })
  socket.on('close', () => {
    closed = true
  })
  socket.on('error', () => {
    // 'close' follows.
  })
  await until(() => !socket.connecting, { what: 'a TCP connection' })
  return {
    text: () => text,
    closed: () => closed,
    write: bytes => void socket.write(bytes),
    onData: listener => void socket.on('data', (data: Buffer) => listener(data.toString('latin1'))),
  }
}

/** Sends bytes and returns the status that is answered, or undefined when the connection ends without one. */
export async function statusOf(t: Teardown, relay: Relay, ...parts: Buffer[]): Promise<string | undefined> {
  const raw = await openRaw(t, relay)
  for (const part of parts) raw.write(part)
  await until(() => raw.text().includes('\r\n\r\n') || raw.closed(), { what: 'an answer' })
  return /^HTTP\/1\.1 (\d+)/.exec(raw.text())?.[1]
}
