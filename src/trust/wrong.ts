/**
 * What is wrong with something that was configured: where, what was expected, what was found. Never holds a value that
 * could be secret: these words go to logs, and the place goes to whoever sent a licence.
 */
export class Wrong extends Error {
  override readonly name = 'Wrong'
  /** The path to the field, such as `acme.keys[0].k`; empty for the whole. */
  readonly where: string

  constructor(where: string, what: string) {
    super(where === '' ? what : `${where}: ${what}`)
    this.where = where
  }
}

/** Stops the start: names the variable; the message says what was expected, what was found, and where. */
export class TrustConfigError extends Error {
  override readonly name = 'TrustConfigError'
  readonly variable: string

  constructor(variable: string, message: string) {
    super(message)
    this.variable = variable
  }
}
