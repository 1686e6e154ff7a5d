/** A configuration that no node can start with: one line that names the variable (CONTRACT 37), exit code 78. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly variable: string

  /** `what` tells what was expected and what was found. */
  constructor(variable: string, what: string) {
    super(`${variable}: ${what}`)
    this.variable = variable
  }
}
