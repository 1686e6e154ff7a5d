import { ConfigError } from './config-error.ts'
import { readConfigFile } from './file.ts'
import { nearest } from './nearest.ts'
import { type Config, VARIABLES, type Variable } from './schema.ts'

/**
 * Returns the configuration of a node. The environment wins over the file; an empty value counts as not set, because
 * that is what container tools make of a variable that is left open. Throws a ConfigError at the first fault.
 */
export function loadConfig(environment: NodeJS.ProcessEnv = process.env, file?: string): Config {
  const all = readEnvironment(file, environment)
  refuseUnknown(Object.keys(all).filter(name => name.startsWith('THROUGHLINE_')))

  const values = Object.entries<Variable<unknown>>(VARIABLES).flatMap(([key, variable]) => {
    const text = all[variable.name] || variable.default
    return text === undefined ? [] : [[key, check(variable, text)]]
  })
  const config = Object.fromEntries(values) as Config
  if (config.sites === undefined && config.operatorJwks === undefined) {
    const other = VARIABLES.operatorJwks.name
    throw new ConfigError(
      VARIABLES.sites.name,
      `expected this or ${other} to be set, found neither; \`throughline site add\` makes a site file`,
    )
  }
  refuseContradictions(config)
  return config
}

/** Returns the environment in which a process needs no file to come to the same configuration. */
export function readEnvironment(
  file: string | undefined,
  environment: NodeJS.ProcessEnv = process.env,
): NodeJS.ProcessEnv {
  if (file === undefined) return environment
  const fromFile = readConfigFile(file)
  refuseUnknown([...fromFile.keys()])
  const unset = [...fromFile].filter(([name]) => !environment[name])
  return { ...environment, ...Object.fromEntries(unset) }
}

function refuseContradictions({ workers, bus, tlsCert, tlsKey }: Config): void {
  if (workers > 1 && bus.kind === 'memory') {
    throw new ConfigError(
      VARIABLES.workers.name,
      `expected 1 with the memory bus, since processes share events only through Redis (${VARIABLES.bus.name}), found "${workers}"`,
    )
  }
  if ((tlsCert === undefined) === (tlsKey === undefined)) return
  const [missing, other] =
    tlsCert === undefined ? [VARIABLES.tlsCert, VARIABLES.tlsKey] : [VARIABLES.tlsKey, VARIABLES.tlsCert]
  throw new ConfigError(missing.name, `expected a path, since ${other.name} is set, found nothing`)
}

function check<T>({ name, expected, parse, show }: Variable<T>, text: string): T {
  const value = parse(text)
  if (value === undefined) {
    throw new ConfigError(name, `expected ${expected}, found ${JSON.stringify(show ? show(text) : text)}`)
  }
  return value
}

/** A name with a slip would otherwise be a setting that silently has no effect. */
function refuseUnknown(names: readonly string[]): void {
  const known = Object.values(VARIABLES).map(variable => variable.name)
  for (const name of names) {
    if (known.includes(name)) continue
    const meant = nearest(name, known)
    const hint = meant ? `did you mean ${meant}?` : 'see `throughline serve --help` for the list'
    throw new ConfigError(name, `expected the name of a variable, found one that is not known; ${hint}`)
  }
}
