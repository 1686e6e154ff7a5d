import { parseArgs } from 'node:util'
import { randomId } from '../lib/random.ts'
import { siteId, webOrigins } from './arguments.ts'
import { type Command, Failure, print, UsageError } from './command.ts'
import { type Jwk, readJwk } from './jwk.ts'
import { makeKey } from './keys.ts'
import { addSite, SITE_FILE } from './site-file.ts'

const help = `throughline site add ID --origin URL… [--sites FILE] [--key FILE]

Adds a site to the site file, which THROUGHLINE_SITES names. A running node notices.

  ID         the site's id: 1 to 63 of a-z 0-9 -, not starting with -
  --origin   a web origin whose pages may connect, such as https://example.com; may be given several times
  --sites    the site file (default ${SITE_FILE}); made if it is not there, with mode 0600
  --key      a file with the site's public key, or with a secret (a JWK). Without it a new secret is made

Example:
  throughline site add acme --origin https://example.com`

async function run(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      origin: { type: 'string', multiple: true },
      sites: { type: 'string', default: SITE_FILE },
      key: { type: 'string' },
    },
  })
  const [verb, name, ...more] = positionals
  if (verb !== 'add' || name === undefined || more.length > 0) {
    throw new UsageError('say `throughline site add ID --origin URL`')
  }
  const id = siteId(name, 'ID')
  const origins = webOrigins(values.origin)
  const key = values.key === undefined ? makeKey('HS256', randomId(12)).private : readSiteKey(values.key)
  addSite(values.sites, id, { keys: [key], origins })
  print(whatNext(id, values.sites, key, values.key))
  return 0
}

export const site: Command = { help, run }

/** The site file is for nodes to verify with, so a private key has no business in it. */
function readSiteKey(file: string): Jwk {
  const jwk = readJwk(file)
  if (jwk.d !== undefined) {
    throw new Failure(`${file} holds a private key; give the public one, which \`throughline keys\` prints`)
  }
  return jwk
}

function whatNext(id: string, sites: string, key: Jwk, keyFile: string | undefined): string {
  const signer = key.kty === 'oct' ? `--sites ${sites}` : '--key PRIVATE_JWK_FILE'
  const secret = keyFile === undefined ? `, with a new secret (HS256, kid ${key.kid}) that its server signs with` : ''
  return `Added site ${id} to ${sites}${secret}.

Next, start a node and make a token for a user:
  THROUGHLINE_SITES=${sites} throughline serve
  throughline token --site ${id} ${signer} --user 7 --thread 42=read,send`
}
