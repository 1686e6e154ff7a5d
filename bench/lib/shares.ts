import { readFileSync } from 'node:fs'
import { type Child, SECOND_TICKS } from './processes.ts'

/** Who used how much processor time meanwhile: 1 is a whole core. */
export interface Shares {
  readonly elapsed: number
  readonly client: number
  readonly servers: readonly number[]
  /** All that is not ours, on all cores: a run beside other work says little. */
  readonly others: number
}

/** Begins to measure; the returned function ends it. */
export function measureShares(servers: readonly Child[]): () => Shares {
  const start = performance.now()
  const client = process.cpuUsage()
  const before = servers.map(server => server.cpuSeconds())
  const machine = busySeconds()
  return () => {
    const elapsed = (performance.now() - start) / 1000
    const used = process.cpuUsage(client)
    const ours = (used.user + used.system) / 1e6
    const theirs = servers.map((server, index) => server.cpuSeconds() - (before[index] ?? 0))
    const all = theirs.reduce((sum, seconds) => sum + seconds, ours)
    return {
      elapsed,
      client: ours / elapsed,
      servers: theirs.map(seconds => seconds / elapsed),
      others: Math.max(0, busySeconds() - machine - all) / elapsed,
    }
  }
}

/** Returns the seconds that all cores were busy since the machine started; waiting and idling are not counted. */
function busySeconds(): number {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = (
    /^cpu +(.*)$/m.exec(readFileSync('/proc/stat', 'latin1'))?.[1] ?? ''
  )
    .split(' ')
    .map(Number)
  return (user + nice + system + irq + softirq + steal) / SECOND_TICKS
}
