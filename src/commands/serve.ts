import { parseArgs } from 'node:util'
import { ConfigError } from '../config/config-error.ts'
import { loadConfig, readEnvironment } from '../config/load.ts'
import { startNode } from '../main.ts'
import { faultOf } from '../workers/fault.ts'
import { startWorkers } from '../workers/workers.ts'
import { Failure } from './command.ts'

/** Starts a node, or several, and returns the exit code when asked to end, by SIGTERM or SIGINT, and all has ended. */
export async function serve(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { config: { type: 'string' } } })
  const running = await start(values.config)
  await firstSignal()
  await running.drain()
  return 0
}

async function start(file: string | undefined): Promise<{ drain(): Promise<void> }> {
  const environment = readEnvironment(file)
  const config = loadConfig(environment)
  try {
    return await (config.workers > 1 ? startWorkers(config, environment) : startNode(config))
  } catch (error) {
    const fault = faultOf(error)
    if (fault === undefined) throw error
    throw fault.variable === undefined ? new Failure(fault.message) : new ConfigError(fault.variable, fault.message)
  }
}

/** Resolves at the first signal to end. A second one ends the process at once. */
function firstSignal(): Promise<void> {
  return new Promise(resolve => {
    const end = (): void => {
      process.on('SIGTERM', () => process.exit(1))
      process.on('SIGINT', () => process.exit(1))
      resolve()
    }
    process.once('SIGTERM', end)
    process.once('SIGINT', end)
  })
}
