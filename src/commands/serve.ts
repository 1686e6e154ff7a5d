import { parseArgs } from 'node:util'
import { ConfigError } from '../config/config-error.ts'
import { loadConfig } from '../config/load.ts'
import { CertificateError } from '../gateway/certificate.ts'
import { UwsError } from '../gateway/uws.ts'
import { type Node, startNode } from '../main.ts'
import { TrustConfigError } from '../trust/trust.ts'
import { Failure } from './command.ts'

/** Starts a node and returns its exit code when it has been asked to end, by SIGTERM or SIGINT, and has. */
export async function serve(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { config: { type: 'string' } } })
  const node = await start(values.config)
  await firstSignal()
  await node.drain()
  return 0
}

async function start(file: string | undefined): Promise<Node> {
  try {
    return await startNode(loadConfig(undefined, file))
  } catch (error) {
    if (error instanceof TrustConfigError || error instanceof CertificateError) {
      throw new ConfigError(error.variable, error.message)
    }
    if (error instanceof UwsError || isTaken(error)) throw new Failure(error.message)
    throw error
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

function isTaken(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && /^E(ADDRINUSE|ADDRNOTAVAIL|ACCES)$/.test(String(error.code))
}
