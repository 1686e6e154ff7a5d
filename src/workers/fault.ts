import { CertificateError } from '../gateway/certificate.ts'
import { UwsError } from '../gateway/uws.ts'
import { TracingError } from '../observe/otlp.ts'
import { TrustConfigError } from '../trust/trust.ts'

/** Why a node cannot start, in a form that one process can tell another. */
export interface StartFault {
  /** The variable that is wrong, if one is. */
  readonly variable?: string
  readonly message: string
}

/** A worker could not start. */
export class CannotStart extends Error {
  override readonly name = 'CannotStart'
  readonly fault: StartFault

  constructor(fault: StartFault) {
    super(fault.message)
    this.fault = fault
  }
}

/** Returns what the operator can be told of an error at the start, or undefined for a fault of ours. */
export function faultOf(error: unknown): StartFault | undefined {
  if (error instanceof CannotStart) return error.fault
  if (error instanceof TrustConfigError || error instanceof CertificateError || error instanceof TracingError) {
    return { variable: error.variable, message: error.message }
  }
  return error instanceof UwsError || isTaken(error) ? { message: error.message } : undefined
}

function isTaken(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && /^E(ADDRINUSE|ADDRNOTAVAIL|ACCES)$/.test(String(error.code))
}
