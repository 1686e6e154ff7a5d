/**
 * Loaded into a node before its own code (node --import), since neither its timers nor what is alive in its heap can be
 * seen from outside. On SIGUSR2 it writes both into the file that SOAK_PROBE names. Counting collects the garbage first.
 */
import { renameSync, writeFileSync } from 'node:fs'
import { queryObjects } from 'node:v8'
import { Connection } from '../../src/connection/connection.ts'

export interface Alive {
  /** Timers that are set, and those that are over and yet held by something. */
  readonly timers: number
  /** The relay's objects that stand for a WebSocket. */
  readonly connections: number
  readonly heapBytes: number
}

const file = process.env['SOAK_PROBE'] ?? ''
const timer = setTimeout(() => {}, 0)
const Timeout = timer.constructor as new () => NodeJS.Timeout
clearTimeout(timer)

process.on('SIGUSR2', () => {
  const timers = queryObjects(Timeout, { format: 'count' })
  const connections = queryObjects(Connection, { format: 'count' })
  const alive = { timers, connections, heapBytes: process.memoryUsage().heapUsed } satisfies Alive
  writeFileSync(`${file}.part`, JSON.stringify(alive))
  renameSync(`${file}.part`, file)
})
