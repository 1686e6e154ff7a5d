import { createServer, connect, type Server, type Socket } from 'node:net'
import type { AddressInfo } from 'node:net'
import type { HostPort } from '../../src/redis/address.ts'
import type { Teardown } from './relay.ts'

interface Link {
  readonly near: Socket
  readonly far: Socket
  /** Whether a SUBSCRIBE has gone through it. */
  subscribes: boolean
  /** Stalled links stay so: a middlebox that has forgotten a connection does not remember it. */
  stalled: boolean
}

const HOST = '127.0.0.1'

/** A network between two programs that a test can spoil: links that go silent, links that are cut, another server behind. */
export class TcpProxy {
  readonly #server: Server
  readonly #links = new Set<Link>()
  #target: HostPort
  #letsIn = true
  /** How many links were asked for, those that it refused too. */
  asked = 0

  private constructor(target: HostPort) {
    this.#target = target
    this.#server = createServer(socket => this.#open(socket))
  }

  static async open(t: Teardown, target: HostPort): Promise<TcpProxy> {
    const proxy = new TcpProxy(target)
    await new Promise<void>(resolve => proxy.#server.listen(0, HOST, resolve))
    t.teardown(() => {
      proxy.#server.close()
      proxy.cut()
    })
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `redis://${HOST}:${this.port}`
  }

  /**
   * Lets the links of now go silent in both directions, without a sign to either end: all, or those that subscribe, or
   * those that do not. Later ones work.
   */
  stall(which: 'all' | 'subscribing' | 'commanding' = 'all'): void {
    for (const link of this.#links) {
      if (which !== 'all' && link.subscribes !== (which === 'subscribing')) continue
      link.stalled = true
    }
  }

  /** Ends the links of now with a reset. Later ones work. */
  cut(): void {
    for (const { near, far } of this.#links) {
      reset(near)
      reset(far)
    }
  }

  /** Cuts all, and refuses new links until `mend`. */
  part(): void {
    this.#letsIn = false
    this.cut()
  }

  mend(): void {
    this.#letsIn = true
  }

  /** Puts another server behind the address, as a floating address does; the links to the old one are cut. */
  switchTo(target: HostPort): void {
    this.redirect(target)
    this.cut()
  }

  /** The same, as a load balancer does: the links to the old one stay. */
  redirect(target: HostPort): void {
    this.#target = target
  }

  #open(near: Socket): void {
    this.asked++
    if (!this.#letsIn) {
      reset(near)
      return
    }
    const far = connect({ ...this.#target, noDelay: true })
    near.setNoDelay(true)
    const link: Link = { near, far, subscribes: false, stalled: false }
    this.#links.add(link)
    near.on('data', (bytes: Buffer) => {
      link.subscribes ||= /\bsubscribe\b/i.test(bytes.toString('latin1'))
    })
    this.#forward(link, near, far)
    this.#forward(link, far, near)
  }

  #forward(link: Link, from: Socket, to: Socket): void {
    from.on('data', bytes => {
      if (!link.stalled) to.write(bytes)
    })
    from.on('error', () => {})
    from.on('close', () => {
      // The other end of a stalled link learns nothing, not even this.
      if (!link.stalled) to.destroy()
      if (to.destroyed) this.#links.delete(link)
    })
  }
}

function reset(socket: Socket): void {
  // One that is shutting down cannot be reset, and Node 20 would never end after it was tried.
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}
