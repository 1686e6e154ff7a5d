/** What Redis itself pays for an event, for each node that hears it, and for a connection: microseconds of its processor time. */
import { Redis } from 'ioredis'
import { startRedis, type Child } from '../lib/processes.ts'
import { close, open } from '../load/crowd.ts'
import { end } from '../lib/contestant.ts'
import { throughline } from '../peers/throughline.ts'
import { dataAt } from '../lib/event.ts'
import { Publisher } from '../lib/publisher.ts'

const EVENTS = 10_000
const CONNECTIONS = 3000
const LISTENERS = 16
const IN_FLIGHT = 64

export async function redisCost(): Promise<{ event: number; listener: number; connect: number }> {
  const { child, address } = await startRedis()
  const server = await throughline.start(address)
  const request = server.publishing('t1', dataAt(0))
  const channel = await channelOf(address, () => once(server, request))
  const publisher = await Publisher.open(server, IN_FLIGHT, request)
  const unheard = await microsOf(child, EVENTS, () => repeat(publisher, request, EVENTS))
  const listeners = await Promise.all(Array.from({ length: LISTENERS }, () => listen(address, channel)))
  const heard = await microsOf(child, EVENTS, () => repeat(publisher, request, EVENTS))
  for (const listener of listeners) listener.disconnect()
  publisher.close()
  const receivers: Awaited<ReturnType<typeof open>> = []
  const threads = Array.from({ length: 20 }, (_, i) => `t${i}`)
  const connect = await microsOf(child, CONNECTIONS, async () => {
    receivers.push(...(await open(server, { payload: 0 }, [0, CONNECTIONS], () => threads)))
  })
  close(receivers)
  await end(server)
  await child.end()
  return { event: unheard, listener: (heard - unheard) / LISTENERS, connect }
}

async function microsOf(child: Child, count: number, act: () => Promise<unknown>): Promise<number> {
  const before = child.cpuNanoseconds()
  await act()
  return (child.cpuNanoseconds() - before) / 1000 / count
}

async function repeat(publisher: Publisher, request: Buffer, count: number): Promise<void> {
  let left = count
  publisher.saturate(IN_FLIGHT, () => {
    if (--left === 0) publisher.pause()
    return request
  })
  await publisher.idle()
}

async function once(server: Parameters<typeof Publisher.open>[0], request: Buffer): Promise<void> {
  const publisher = await Publisher.open(server, 1, request)
  publisher.close()
}

/** Returns the channel that an event is published on. */
async function channelOf(address: string, publish: () => Promise<void>): Promise<string> {
  const redis = new Redis(address)
  try {
    await redis.psubscribe('*')
    const heard = new Promise<string>(resolve => {
      redis.on('pmessage', (_pattern, channel: string, message: string) => {
        if (message.includes('"op":"event"')) resolve(channel)
      })
    })
    await publish()
    return await heard
  } finally {
    redis.disconnect()
  }
}

/** A node that hears it, reading as fast as it can. */
async function listen(address: string, channel: string): Promise<Redis> {
  const redis = new Redis(address)
  await redis.subscribe(channel)
  return redis
}
