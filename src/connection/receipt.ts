import type { ClientFrame } from '../protocol/decode.ts'
import type { Json } from '../protocol/raw-json.ts'
import { Refusal } from '../protocol/refusal.ts'
import type { Connection } from './connection.ts'
import type { Services } from './services.ts'

const RECEIPTS = 100
/** Characters: a sealed address is a few hundred. */
const LONGEST = 2048

/** `receipt`: confirms that events have arrived. Has no answer but for a wrong field. */
export async function receipt(connection: Connection, { fields }: ClientFrame, services: Services): Promise<void> {
  const { site, user } = connection.identity!
  await services.receipts.confirm(site.id, user, readReceipts(fields.receipts))
}

function readReceipts(value: Json | undefined): string[] {
  if (!Array.isArray(value) || value.length === 0 || value.length > RECEIPTS || !value.every(isReceipt)) {
    throw new Refusal('bad_field', `receipts is a list of 1 to ${RECEIPTS} receipts, as they came with events`)
  }
  return value
}

function isReceipt(value: Json): value is string {
  return typeof value === 'string' && value.length <= LONGEST
}
