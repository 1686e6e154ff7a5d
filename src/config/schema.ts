import type { RedisAddress } from '../redis/address.ts'
import { type MemoryBus, parseBus, redactBus } from './bus-url.ts'
import { parseCidrs } from './cidrs.ts'
import { type Listen, parseListen } from './listen.ts'
import { parseOtlp } from './otlp-url.ts'

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/**
 * Every variable that configures a node, once: defaults, checks, `throughline serve --help` and docs/configuration.md
 * all come from this table. The keys are the names in Config.
 */
export const VARIABLES = {
  wsListen: required<Listen>({
    name: 'THROUGHLINE_WS_LISTEN',
    default: '0.0.0.0:8080',
    expected: 'host:port or [IPv6]:port, such as 0.0.0.0:8080',
    parse: parseListen,
    help: 'Where browsers connect: WebSockets.',
  }),
  apiListen: required<Listen>({
    name: 'THROUGHLINE_API_LISTEN',
    default: '0.0.0.0:8081',
    expected: 'host:port or [IPv6]:port, such as 0.0.0.0:8081',
    parse: parseListen,
    help: 'Where origins publish: the HTTP API.',
  }),
  adminListen: required<Listen>({
    name: 'THROUGHLINE_ADMIN_LISTEN',
    default: '127.0.0.1:9090',
    expected: 'host:port or [IPv6]:port, such as 127.0.0.1:9090',
    parse: parseListen,
    help: "The operator's port: /metrics, /healthz, /readyz. Not for the public.",
  }),
  bus: required<MemoryBus | RedisAddress>({
    name: 'THROUGHLINE_BUS',
    default: 'memory',
    expected:
      'memory, redis://[user:password@]host[:port][/db], rediss://…, redis+sentinel://[user:password@]host:port,…/name or redis+cluster://[user:password@]host:port,… (user and password percent-encoded)',
    parse: parseBus,
    show: redactBus,
    help: 'What carries events between nodes: memory (one node), or a Redis URL: redis://, rediss://, redis+sentinel://h:p,h:p/name or redis+cluster://h:p,h:p.',
  }),
  sites: optional({
    name: 'THROUGHLINE_SITES',
    help: 'Path of the site file, which `throughline site add` writes. Reloaded when it changes.',
  }),
  operatorJwks: optional({
    name: 'THROUGHLINE_OPERATOR_JWKS',
    help: "The operator's public keys, which licences are verified with: a path or inline JSON. This or THROUGHLINE_SITES must be set.",
  }),
  revoked: optional({
    name: 'THROUGHLINE_REVOKED',
    help: 'Path of a JSON list of revoked licence ids (jti). Reloaded when it changes.',
  }),
  limits: optional({
    name: 'THROUGHLINE_LIMITS',
    help: "The node's own limits: JSON, or its path. Caps on what any site gets, and what one address may do.",
  }),
  ice: optional({
    name: 'THROUGHLINE_ICE',
    help: 'STUN and TURN servers for calls, and the secret shared with coturn: JSON, or its path. For sites that name none of their own.',
  }),
  callbackKey: optional({
    name: 'THROUGHLINE_CALLBACK_KEY',
    help: 'What callbacks are signed with: a private Ed25519 JWK, or its path. Made by the relay if not set, and kept in Redis.',
  }),
  callbackAllow: required<readonly string[]>({
    name: 'THROUGHLINE_CALLBACK_ALLOW',
    default: 'none',
    expected: 'none, or networks such as 10.0.0.0/8,fd00::/8',
    parse: parseCidrs,
    help: 'Private networks that callbacks may reach, by http: too: none, or CIDRs with commas between. All else must be https: and public.',
  }),
  trustProxy: required<readonly string[]>({
    name: 'THROUGHLINE_TRUST_PROXY',
    default: 'none',
    expected: 'none, or networks such as 10.0.0.0/8,2001:db8::/32',
    parse: parseCidrs,
    help: 'Networks of proxies that are believed when they tell whom they speak for, by X-Forwarded-For or PROXY protocol v2: none, or CIDRs with commas between.',
  }),
  prefix: required<string>({
    name: 'THROUGHLINE_PREFIX',
    default: 'tl',
    expected: '1 to 32 of A-Z a-z 0-9 _ . -',
    parse: text => (/^[A-Za-z0-9_.-]{1,32}$/.test(text) ? text : undefined),
    help: 'First part of every Redis key and channel: one deployment.',
  }),
  workers: required<number>({
    name: 'THROUGHLINE_WORKERS',
    default: '1',
    expected: 'a whole number, 1 to 128',
    parse: text => (/^[1-9]\d{0,2}$/.test(text) && Number(text) <= 128 ? Number(text) : undefined),
    help: 'How many processes share the ports, to use several cores. More than 1 needs a Redis bus.',
  }),
  tlsCert: optional({
    name: 'THROUGHLINE_TLS_CERT',
    help: 'Path of a PEM file with the certificate and its chain: then WebSockets and API speak TLS. Reloaded when it changes.',
  }),
  tlsKey: optional({
    name: 'THROUGHLINE_TLS_KEY',
    help: "Path of a PEM file with the certificate's private key. Reloaded when it changes.",
  }),
  drainSeconds: required<number>({
    name: 'THROUGHLINE_DRAIN_SECONDS',
    default: '30',
    expected: 'whole seconds, 0 to 3600',
    parse: text => (/^\d{1,4}$/.test(text) && Number(text) <= 3600 ? Number(text) : undefined),
    help: 'How long clients have to leave after SIGTERM.',
  }),
  logLevel: required<LogLevel>({
    name: 'THROUGHLINE_LOG_LEVEL',
    default: 'info',
    expected: 'one of fatal, error, warn, info, debug, trace, silent',
    parse: text => LOG_LEVELS.find(level => level === text),
    help: 'How much is logged, as JSON lines on stdout: fatal, error, warn, info, debug, trace or silent.',
  }),
  otlp: {
    name: 'THROUGHLINE_OTLP',
    expected: 'an http or https URL such as http://127.0.0.1:4318',
    parse: parseOtlp,
    show: text => text.replace(/\/\/[^/]*@/, '//***@'),
    help: 'Where traces are sent by OTLP over HTTP: the URL of an OpenTelemetry collector. Nothing is traced if not set.',
  } as Variable<string>,
  traceShare: required<number>({
    name: 'THROUGHLINE_TRACE_SHARE',
    default: '0.01',
    expected: 'a number, 0 to 1',
    parse: text => (/^(0|1|0?\.\d{1,9}|1\.0+)$/.test(text) ? Number(text) : undefined),
    help: 'Which part of the calls and callbacks is traced whose origin does not say by traceparent: 0 to 1.',
  }),
  uwsBinary: optional({
    name: 'UWS_BINARY',
    help: 'Path of a uWebSockets.js .node file, or of a folder that holds such a package, to use instead of the bundled ones.',
  }),
}

type Table = typeof VARIABLES
type Required = { [Key in keyof Table]: Table[Key] extends RequiredVariable<unknown> ? Key : never }[keyof Table]
type Parsed<V> = V extends Variable<infer T> ? T : never

/** What a node is told. What has no default is left out when it is not set. */
export type Config = { readonly [Key in Required]: Parsed<Table[Key]> } & {
  readonly [Key in Exclude<keyof Table, Required>]?: Parsed<Table[Key]>
}

export interface Variable<T> {
  readonly name: string
  readonly default?: string
  /** Completes "NAME: expected …". */
  readonly expected: string
  /** Returns the value, or undefined when `text` is not what is expected. */
  readonly parse: (text: string) => T | undefined
  /** Returns what may be told of a wrong value. Needed where a value may hold a secret. */
  readonly show?: (text: string) => string
  /** One sentence or two for people. */
  readonly help: string
}

interface RequiredVariable<T> extends Variable<T> {
  readonly default: string
}

function required<T>(variable: RequiredVariable<T>): RequiredVariable<T> {
  return variable
}

/** A path, or what stands in its place. Whoever reads the file says what is wrong with it. */
function optional(variable: Pick<Variable<string>, 'name' | 'help'>): Variable<string> {
  return { ...variable, expected: 'a path', parse: text => text }
}
