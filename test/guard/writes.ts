import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Counts the writes to sockets that a process makes meanwhile, with strace. Returns undefined where it is missing or may
 * not look at other processes.
 */
export async function writesOf(pid: number, act: () => Promise<void>): Promise<number | undefined> {
  const trace = ['-f', '-qq', '-c', '-e', 'trace=sendto,sendmsg,write,writev', '-p', String(pid)]
  const strace = spawn('strace', trace, { stdio: ['ignore', 'ignore', 'pipe'] })
  const ended = once(strace, 'close')
  let said = ''
  strace.stderr.on('data', (text: Buffer) => {
    said += text.toString()
  })
  try {
    await once(strace, 'spawn')
    while (!isTraced(pid) && strace.exitCode === null) await sleep(10)
    await act()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  } finally {
    strace.kill('SIGINT')
  }
  await ended
  const total = /^\s*100\.00\s+\S+\s+(?:\S+\s+)?(\d+).* total$/m.exec(said)
  return total === null ? undefined : Number(total[1])
}

function isTraced(pid: number): boolean {
  return !/TracerPid:\s+0$/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'))
}
