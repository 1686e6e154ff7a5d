import { type Listen, listenText } from '../../config/listen.ts'
import { freePorts } from '../../gateway/listen.ts'
import { found, ok, type Patient, type Result } from './check.ts'
import { get, reachable } from './running-node.ts'

/** Tries each listen address: free, or taken by a relay that runs already, or by something else. */
export async function ports({ config, node }: Patient): Promise<readonly Result[]> {
  const web = config.tlsCert === undefined ? 'http' : 'https'
  const version = async (): Promise<string> => (await node())?.version ?? 'of unknown version'
  return Promise.all([
    port('WebSocket', config.wsListen, version, async at => {
      return (await get(`${web}://${at}/`))?.body.startsWith('Throughline') === true
    }),
    port('API', config.apiListen, version, async at => {
      return (await get(`${web}://${at}/v1/openapi.json`))?.body.includes('"title":"Throughline"') === true
    }),
    port('admin', config.adminListen, version, async () => (await node()) !== undefined),
  ])
}

async function port(
  name: string,
  listen: Listen,
  version: () => Promise<string>,
  isOurs: (at: string) => Promise<boolean>,
): Promise<Result> {
  const says = `the ${name} port ${listenText(listen)}`
  if (listen.port === 0) return ok(`${says} is chosen by the system`)
  try {
    await freePorts([listen])
    return ok(`${says} is free`)
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (code === 'EACCES') return found('port_privileged', `${says} may not be taken by this user`)
    if (code !== 'EADDRINUSE') return found('port_address', `${says} cannot be listened on (${code})`)
    if (!(await isOurs(reachable(listen)))) return found('port_taken', `${says} is taken by something else`)
    return ok(`${says} is answered by a relay that runs already (${await version()})`)
  }
}
