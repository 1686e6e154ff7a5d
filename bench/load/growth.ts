/** What an idle connection costs while they grow in number: memory, and processor time for heartbeats. */
import { type Contestant, end } from '../lib/contestant.ts'
import { sleep } from '../lib/turns.ts'
import { close, complete, open } from './crowd.ts'
import { settled } from './memory.ts'
import type { Session } from './session.ts'

const SIZES = [100, 1000, 10_000] as const
const REST_SECONDS = 15

export async function openGrowth(contestant: Contestant): Promise<Session> {
  const server = await contestant.start()
  const [node] = server.nodes
  if (node === undefined) throw new Error('no server')
  const receivers = await open(server, { payload: 0 }, [0, 0], () => [])

  return {
    async measure() {
      const bytes: number[] = []
      const cpu: number[] = []
      for (const size of SIZES) {
        receivers.push(...(await open(server, { payload: 0 }, [receivers.length, size], () => ['t1'])))
        bytes.push(await settled(node))
        const before = node.cpuNanoseconds()
        const start = performance.now()
        await sleep(REST_SECONDS * 1000)
        cpu.push((node.cpuNanoseconds() - before) / (performance.now() - start))
      }
      await complete(receivers, () => 0)
      const [bytes0 = 0, bytes1 = 0, bytes2 = 0] = bytes
      const [cpu100 = 0, cpu1000 = 0, cpu10000 = 0] = cpu
      const [few, some, many] = SIZES
      return {
        bytes1000: (bytes1 - bytes0) / (some - few),
        bytes10000: (bytes2 - bytes1) / (many - some),
        cpu100,
        cpu1000,
        cpu10000,
        idle: (cpu10000 - cpu100) / (many - few),
      }
    },
    async close() {
      close(receivers)
      await end(server)
    },
  }
}
