import { inspect } from 'node:util'
import { openRedisBus } from '../../src/bus/redis.ts'
import type { Log } from '../../src/observe/log.ts'
import type { Metrics } from '../../src/observe/metrics.ts'
import type { RedisAddress } from '../../src/redis/address.ts'
import { Keys } from '../../src/redis/keys.ts'
import { openRedis } from '../../src/redis/redis.ts'
import type { OpenBus } from '../contract/node.ts'

/** All that any bus of this process has logged. */
export const logged: string[] = []

const record = (facts: object, message: string): void => {
  logged.push(`${message} ${inspect(facts, { depth: 8, maxStringLength: null })}`)
}
export const log: Log = { debug: record, info: record, warn: record, error: record }

const ignore = (): void => {}
export const metrics: Metrics = {
  connectionOpened: ignore,
  connectionClosed: ignore,
  siteConnected: ignore,
  refused: ignore,
  frameReceived: ignore,
  published: ignore,
  delivered: ignore,
  deliveredAfter: ignore,
  callback: ignore,
  callbacksDropped: ignore,
  gap: ignore,
  receiptRefused: ignore,
  rateLimited: ignore,
  slowConsumer: ignore,
  busUp: ignore,
  busRoundtrip: ignore,
}

/** Returns what opens the nodes of a deployment on this Redis. */
export function on(address: RedisAddress): OpenBus {
  return async prefix => {
    const link = openRedis(address)
    const bus = await openRedisBus({ link, keys: new Keys(prefix), log, metrics })
    const close = bus.close.bind(bus)
    bus.close = async () => {
      await close()
      link.close()
    }
    return bus
  }
}
