import { VARIABLES, type Variable } from './schema.ts'

/** Returns what `throughline serve --help` prints. */
export function serveHelp(): string {
  return `throughline serve [--config FILE]

Starts a node. It ends in good order on SIGTERM, at once on a second one.

  --config   a file with NAME=value lines for the variables below; # starts a comment line. The environment wins

Variables:
${Object.values<Variable<unknown>>(VARIABLES).map(variableHelp).join('\n')}

Example:
  throughline site add acme --origin https://example.com
  THROUGHLINE_SITES=sites.json throughline serve`
}

function variableHelp({ name, default: value, help }: Variable<unknown>): string {
  return `  ${name}${value === undefined ? '' : ` (default ${value})`}\n      ${help}`
}
