import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { openCertificate } from '../../gateway/certificate.ts'
import { found, ok, type Patient, type Result, skipped } from './check.ts'

const DAY_MS = 86_400_000
const FEW_DAYS = 14
const QUIET = { debug() {}, info() {}, warn() {}, error() {} }

/** Looks at the certificate as clients will see it: whose it is, for how long, and with which chain. */
export async function certificate({ config, clock, options }: Patient): Promise<readonly Result[]> {
  const { tlsCert: cert, tlsKey: key } = config
  if (cert === undefined || key === undefined) return [skipped('no certificate is configured: TLS is left to a proxy')]
  const opened = await openCertificate({ cert, key }, QUIET)
  opened.close()
  const pem = readFileSync(cert, 'utf8').match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  const chain = pem.map(text => new X509Certificate(text))
  return [...dates(chain, clock.now()), ...issuers(chain), ...name(chain[0]!, options.url)]
}

function dates(chain: readonly X509Certificate[], now: number): Result[] {
  return chain.flatMap((one, index) => {
    const whose = index === 0 ? `the certificate for ${namesOf(one)}` : `the chain's certificate ${index + 1}`
    const days = Math.floor((Date.parse(one.validTo) - now) / DAY_MS)
    if (days < 0) return [found('tls_expired', `${whose} ended on ${one.validTo}`)]
    if (Date.parse(one.validFrom) > now) return [found('tls_not_yet', `${whose} begins only on ${one.validFrom}`)]
    if (days < FEW_DAYS) return [found('tls_expires', `${whose} is good for ${days} more days`)]
    return index === 0 ? [ok(`${whose} fits its key and is good for ${days} more days`)] : []
  })
}

function issuers(chain: readonly X509Certificate[]): Result[] {
  const [own, ...others] = chain
  if (own!.checkIssued(own!)) return [found('tls_self_signed', 'the certificate is signed by itself')]
  if (others.length === 0)
    return [found('tls_chain', 'the file has the certificate alone, and nothing of who signed it')]
  const broken = others.findIndex((issuer, i) => !chain[i]!.checkIssued(issuer))
  if (broken >= 0) return [found('tls_chain', `certificate ${broken + 2} of the file did not sign the one before it`)]
  return [ok(`the chain has ${chain.length} certificates in their order`)]
}

function name(own: X509Certificate, url: string | undefined): Result[] {
  const { protocol, hostname } = url === undefined ? { protocol: '', hostname: '' } : new URL(url)
  if (protocol !== 'wss:') return []
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const fits = isIP(host) === 0 ? own.checkHost(host) : own.checkIP(host)
  return fits === undefined ? [found('tls_name', `the certificate is for ${namesOf(own)}, not for ${host}`)] : []
}

function namesOf({ subjectAltName, subject }: X509Certificate): string {
  return (subjectAltName ?? subject).replaceAll(/(?:DNS|IP Address):/g, '').replaceAll('\n', ' ')
}
