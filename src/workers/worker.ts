/** The program of one worker: a node without an admin port, which the first process starts, asks and ends. */
import { loadConfig } from '../config/load.ts'
import { type Node, startNode } from '../main.ts'
import { faultOf } from './fault.ts'
import type { FromWorker, ToWorker } from './messages.ts'

// Ctrl-C and service managers signal every process of the group: the first one alone decides what is to be done.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined)
// The first process is gone, and did not say goodbye.
process.once('disconnect', () => void drain())
process.on('message', (message: ToWorker) => void take(message))

const node = start()
let draining = false

async function start(): Promise<Node | undefined> {
  try {
    const node = await startNode(loadConfig(), Number(process.argv[2]))
    tell({ ready: true })
    return node
  } catch (error) {
    const failed = faultOf(error)
    if (failed === undefined) throw error
    tell({ failed }, () => process.exit(1))
    return undefined
  }
}

async function take(message: ToWorker): Promise<void> {
  const started = await node
  if (started === undefined) return
  if (typeof message === 'object') {
    const { call, site, deed } = message
    tell({ call, steered: await started.steer(site, deed) })
  } else if (message === 'bus') tell({ bus: started.busUp })
  else if (message === 'numbers') tell({ numbers: await started.numbers() })
  else if (message === 'sites') tell({ sites: started.sites() })
  else await drain()
}

async function drain(): Promise<void> {
  if (draining) return
  draining = true
  await (await node)?.drain()
  process.exit(0)
}

function tell(message: FromWorker, done: () => void = () => undefined): void {
  if (process.connected) process.send!(message, undefined, undefined, done)
  else done()
}
