import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'

/** A Lua script, known to Redis by the hash of its text. */
export interface Script {
  readonly lua: string
  readonly sha: string
}

/** Reads a script by its place under src, such as `bus/publish`: built code finds it there too (package.json, imports). */
export function loadScript(name: string): Script {
  const lua = readFileSync(new URL(import.meta.resolve(`#lua/${name}.lua`)), 'utf8')
  return { lua, sha: createHash('sha1').update(lua).digest('hex') }
}

/** One deployment's Redis, whether one server, a master that Sentinel watches, or a cluster. */
export interface RedisLink {
  /** Names who is told. Called once; whether it is `ready` by then has to be asked. */
  listen(events: LinkEvents): void
  /** What a script publishes with. */
  readonly publishCommand: 'PUBLISH' | 'SPUBLISH'
  /** Whether commands can be sent. Commands sent while it is false are rejected at once: nothing is queued for later. */
  readonly ready: boolean
  /** Runs a script. All keys are of one partition. */
  run(script: Script, keys: readonly string[], args: readonly (string | number | Buffer)[]): Promise<unknown>
  publish(channel: string, message: string | Buffer): Promise<void>
  /** Resolves when all channels are confirmed. */
  subscribe(channels: readonly string[]): Promise<void>
  unsubscribe(channels: readonly string[]): void
  /** Names the primary that owns a slot; undefined while none is known. */
  primaryOf(slot: number): string | undefined
  /** Returns the run id of each primary by name: another one than before means another memory (DESIGN §7, eras). */
  runIds(): Promise<ReadonlyMap<string, string>>
  /** Drops all connections and makes them anew: for links that look alive and are not. */
  reconnect(): void
  close(): void
}

export interface LinkEvents {
  /** All connections are ready, for the first time or again. */
  connected(): void
  message(channel: string, message: Buffer): void
  /** A connection was lost, so messages may have been. */
  interrupted(why: string): void
}

/** Milliseconds that any command may take, so that a publish is answered within 5 s (CONTRACT 27). */
export const COMMAND_TIMEOUT = 4000

/** Tells whether a command failed because no answer came, not even a refusal. */
export function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.message === 'Command timed out'
}
