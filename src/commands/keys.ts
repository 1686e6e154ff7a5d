import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { randomId } from '../lib/random.ts'
import { parsed } from './arguments.ts'
import { type Command, Failure, print } from './command.ts'
import type { Algorithm, Jwk } from './jwk.ts'

const help = `throughline keys [--alg EdDSA|ES256|HS256] [--kid ID] [--out FILE]

Makes a key, as a JWK (RFC 7517).

  --alg   EdDSA (the default), ES256, or HS256: a secret that two sides share
  --kid   the key's id; by default a random one
  --out   writes the private key or the secret to FILE, for its owner's eyes only (mode 0600), and prints only what
          others may see: the public key. Never overwrites. Without it everything is printed, as
          {"private": …, "public": …} or as one secret

Example:
  throughline keys --out private.json > public.json`

async function run(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { alg: { type: 'string', default: 'EdDSA' }, kid: { type: 'string' }, out: { type: 'string' } },
  })
  const alg = parsed(values.alg, '--alg', parseAlgorithm, 'EdDSA, ES256 or HS256')
  const key = makeKey(alg, values.kid || randomId(12))
  if (values.out === undefined) print(JSON.stringify(key.public ? key : key.private))
  else {
    writeSecret(values.out, key.private)
    if (key.public) print(JSON.stringify(key.public))
  }
  return 0
}

export const keys: Command = { help, run }

/** A shared secret has no public half. */
interface Key {
  readonly private: Jwk
  readonly public?: Jwk
}

/** Makes a key of 256 bits. */
export function makeKey(alg: Algorithm, kid: string): Key {
  const names = { kid, alg, use: 'sig' }
  if (alg === 'HS256') return { private: { kty: 'oct', ...names, k: randomId(32) } }
  const pair = alg === 'EdDSA' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const toJwk = (key: KeyObject): Jwk => ({ ...key.export({ format: 'jwk' }), ...names })
  return { private: toJwk(pair.privateKey), public: toJwk(pair.publicKey) }
}

function parseAlgorithm(text: string): Algorithm | undefined {
  return text === 'EdDSA' || text === 'ES256' || text === 'HS256' ? text : undefined
}

function writeSecret(file: string, jwk: Jwk): void {
  try {
    writeFileSync(file, `${JSON.stringify(jwk)}\n`, { flag: 'wx', mode: 0o600 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    throw new Failure(`${file} is there already, and a key is never overwritten; choose another name`)
  }
}
