import { createHash, createHmac, randomBytes } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import type { Teardown } from './relay.ts'

// The least of a TURN client (RFC 8489 and 8656, over UDP), written by hand so that a test sees the error code.

const COOKIE = 0x2112a442
const ALLOCATE = 0x0003
const CREATE_PERMISSION = 0x0008
const ERROR_CLASS = 0x0110
const ATTRIBUTES = {
  username: 0x06,
  integrity: 0x08,
  error: 0x09,
  peer: 0x12,
  realm: 0x14,
  nonce: 0x15,
  transport: 0x19,
}
const UDP = Buffer.from([17, 0, 0, 0])

/** 0 when it was granted, else the error code of the answer. */
type Outcome = number

interface Credential {
  readonly username?: string
  readonly credential?: string
}

export class TurnClient {
  readonly #socket: Socket
  readonly #server: number
  readonly #user: Required<Credential>
  #realm: Buffer = Buffer.alloc(0)
  #nonce: Buffer = Buffer.alloc(0)

  private constructor(socket: Socket, server: number, user: Required<Credential>) {
    this.#socket = socket
    this.#server = server
    this.#user = user
  }

  /** Returns a client of the TURN server on a port of loopback. */
  static async open(t: Teardown, server: number, { username = '', credential = '' }: Credential): Promise<TurnClient> {
    const socket = createSocket('udp4')
    t.teardown(() => socket.close())
    socket.bind(0, '127.0.0.1')
    await once(socket, 'listening')
    return new TurnClient(socket, server, { username, credential })
  }

  /** Asks for an allocation, first without credentials, which is refused but tells realm and nonce. */
  async allocate(): Promise<Outcome> {
    const transport = attribute(ATTRIBUTES.transport, UDP)
    const challenge = await this.#ask(ALLOCATE, [transport])
    const [realm, nonce] = [challenge.get(ATTRIBUTES.realm), challenge.get(ATTRIBUTES.nonce)]
    if (outcomeOf(challenge) !== 401 || realm === undefined || nonce === undefined) throw new Error('not challenged')
    this.#realm = realm
    this.#nonce = nonce
    return this.#authenticated(ALLOCATE, transport)
  }

  /** Asks that a peer may be reached through the allocation. */
  permit(peer: string): Promise<Outcome> {
    const masked = (peer.split('.').reduce((sum, part) => sum * 256 + Number(part), 0) ^ COOKIE) >>> 0
    const value = Buffer.from([0, 1, 0, 0, 0, 0, 0, 0])
    value.writeUInt32BE(masked, 4)
    return this.#authenticated(CREATE_PERMISSION, attribute(ATTRIBUTES.peer, value))
  }

  async #authenticated(method: number, body: Buffer): Promise<Outcome> {
    const { username, credential } = this.#user
    const key = createHash('md5').update(`${username}:${this.#realm.toString()}:${credential}`).digest()
    const attributes = [
      body,
      attribute(ATTRIBUTES.username, Buffer.from(username)),
      attribute(ATTRIBUTES.realm, this.#realm),
      attribute(ATTRIBUTES.nonce, this.#nonce),
    ]
    return outcomeOf(await this.#ask(method, attributes, key))
  }

  async #ask(method: number, attributes: Buffer[], key?: Buffer): Promise<Map<number, Buffer>> {
    const body = Buffer.concat(attributes)
    const header = Buffer.alloc(20)
    header.writeUInt16BE(method, 0)
    // Of what is signed the length already counts the signature (RFC 8489 §14.5).
    header.writeUInt16BE(body.length + (key === undefined ? 0 : 24), 2)
    header.writeUInt32BE(COOKIE, 4)
    randomBytes(12).copy(header, 8)
    const text = Buffer.concat([header, body])
    const signature =
      key === undefined ? [] : [attribute(ATTRIBUTES.integrity, createHmac('sha1', key).update(text).digest())]
    const answered = once(this.#socket, 'message', { signal: AbortSignal.timeout(10_000) })
    this.#socket.send(Buffer.concat([text, ...signature]), this.#server, '127.0.0.1')
    const [message] = (await answered) as [Buffer]
    return readAnswer(message, method)
  }
}

function attribute(type: number, value: Buffer): Buffer {
  const padded = Buffer.alloc(4 + Math.ceil(value.length / 4) * 4)
  padded.writeUInt16BE(type, 0)
  padded.writeUInt16BE(value.length, 2)
  value.copy(padded, 4)
  return padded
}

function readAnswer(message: Buffer, method: number): Map<number, Buffer> {
  if ((message.readUInt16BE(0) & ~ERROR_CLASS) !== method) throw new Error('the answer is to something else')
  const attributes = new Map<number, Buffer>()
  for (let at = 20; at < message.length; ) {
    const length = message.readUInt16BE(at + 2)
    attributes.set(message.readUInt16BE(at), message.subarray(at + 4, at + 4 + length))
    at += 4 + Math.ceil(length / 4) * 4
  }
  return attributes
}

function outcomeOf(attributes: ReadonlyMap<number, Buffer>): Outcome {
  const error = attributes.get(ATTRIBUTES.error)
  return error === undefined ? 0 : error[2]! * 100 + error[3]!
}
