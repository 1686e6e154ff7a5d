/** Why something from outside was not taken. docs/end-to-end-encryption.md has them all. */
export const REFUSALS = {
  malformed: 'It is not an envelope or a handover of version 1, or it is too large.',
  wrong_thread: 'It was made for another thread.',
  unknown_sender: 'It names an identity that was never admitted to this thread: admit its public identity first.',
  wrong_sender: 'It names an identity of another user than the one who is said to have sent it.',
  not_member: 'Its maker is no member now, or was not given the key that it uses.',
  unknown_key: 'This device has no such key: accept the handover that brings it, or it was sealed for others.',
  tampered: 'It was changed, or made for another thread, sender or type.',
  bad_signature: 'It was not signed by the identity that it names.',
  replay: 'It came before, under another id.',
  not_for_this_device: 'It brings a key that this device was not given.',
  epoch_jump: 'Its epoch is too far ahead of those that are known.',
} as const

export type RefusalCode = keyof typeof REFUSALS

export interface Refused {
  readonly ok: false
  readonly code: RefusalCode
  readonly message: string
}

export function refuse(code: RefusalCode): Refused {
  return { ok: false, code, message: REFUSALS[code] }
}

export type E2eErrorCode =
  | 'insecure_context'
  | 'bad_identity'
  | 'bad_state'
  | 'no_key'
  | 'not_member'
  | 'too_large'
  | 'too_many'

/** A call that cannot be done as it was made; what comes from others is never thrown but refused. */
export class E2eError extends Error {
  readonly code: E2eErrorCode

  constructor(code: E2eErrorCode, message: string) {
    super(message)
    this.name = 'E2eError'
    this.code = code
  }
}
