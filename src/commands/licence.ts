import { parseArgs } from 'node:util'
import { systemClock } from '../lib/clock.ts'
import { randomId } from '../lib/random.ts'
import { duration, need, siteId, webOrigins } from './arguments.ts'
import { type Command, Failure, print } from './command.ts'
import { algorithm, type Jwk, readJwk, readPublicJwk, sign } from './jwk.ts'

const help = `throughline licence --operator-key FILE --site ID --key FILE… --origin URL… [--for TIME] [--jti ID]

Makes a licence and prints it: what lets a site use nodes that have no site file entry for it. Nodes verify it with
THROUGHLINE_OPERATOR_JWKS.

  --operator-key   a file with the operator's private key (an Ed25519 JWK)
  --site           the site that the licence is for
  --key            a file with a public key of the site (a JWK); may be given several times
  --origin         a web origin whose pages may connect, such as https://example.com; may be given several times
  --for            how long it is good (default 365d)
  --jti            the licence's id, by which it can be revoked; by default a random one

Example:
  throughline keys --out operator.json > operator-public.json
  throughline keys --out acme.json > acme-public.json
  throughline licence --operator-key operator.json --site acme --key acme-public.json --origin https://example.com`

async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      'operator-key': { type: 'string' },
      site: { type: 'string' },
      key: { type: 'string', multiple: true },
      origin: { type: 'string', multiple: true },
      for: { type: 'string', default: '365d' },
      jti: { type: 'string' },
    },
  })
  const operatorFile = need(values['operator-key'], '--operator-key FILE')
  const sub = siteId(need(values.site, '--site ID'), '--site')
  const keyFiles = need(values.key, '--key FILE')
  const origins = webOrigins(values.origin)
  const seconds = duration(values.for, '--for', '36500d')

  const iat = Math.floor(systemClock.now() / 1000)
  const site = { keys: readSiteKeys(keyFiles), origins }
  const claims = { iss: 'throughline', sub, iat, exp: iat + seconds, jti: values.jti ?? randomId(12), site }
  print(await sign(readOperatorKey(operatorFile), claims, 'licence+jwt'))
  return 0
}

export const licence: Command = { help, run }

function readOperatorKey(file: string): Jwk {
  const jwk = readJwk(file)
  if (algorithm(jwk) !== 'EdDSA') throw new Failure(`${file} is not an Ed25519 key, as an operator key must be`)
  return jwk
}

/** With more than one key a token's `kid` chooses (CONTRACT 10), so each needs one of its own. */
function readSiteKeys(files: readonly string[]): Jwk[] {
  const keys = files.map(file => readPublicJwk(file))
  const kids = new Set(keys.map(key => key.kid))
  if (keys.length > 1 && (kids.has(undefined) || kids.size < keys.length)) {
    throw new Failure('several keys need a kid each, and different ones')
  }
  return keys
}
