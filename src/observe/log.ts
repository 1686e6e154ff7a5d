import { pino } from 'pino'

/** JSON lines. Facts come first, then one sentence; never a token, a licence or `data` among them. */
export interface Log {
  debug(facts: object, message: string): void
  info(facts: object, message: string): void
  warn(facts: object, message: string): void
  error(facts: object, message: string): void
}

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'

// A net below the tightrope: no call passes these, and should one ever do, they are struck out.
const SECRET = ['token', 'licence', 'data', 'authorization', 'password', 'secret']

/** `worker` is the number of the process among several that share the ports. */
export function openLog(level: LogLevel, worker?: number): Log {
  return pino({
    level,
    base: { pid: process.pid, ...(worker === undefined ? {} : { worker }) },
    messageKey: 'msg',
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: SECRET.flatMap(name => [name, `*.${name}`]), censor: '[redacted]' },
  })
}

/** Returns what of an error may be logged: libraries put whole commands, and so `data`, into their errors' other fields. */
export function errorFacts(error: unknown): { error: string; stack?: string } {
  if (!(error instanceof Error)) return { error: String(error) }
  return { error: error.message, ...(error.stack === undefined ? {} : { stack: error.stack }) }
}
