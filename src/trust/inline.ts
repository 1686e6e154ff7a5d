import { readFile } from 'node:fs/promises'
import { TrustConfigError, Wrong } from './wrong.ts'

/**
 * Returns what `parse` makes of a variable's value: of the JSON itself if it begins with a brace, else of the file that it
 * is the path of. Throws a TrustConfigError for a Wrong.
 */
export async function readInline<T>(
  variable: string,
  given: string,
  parse: (bytes: Buffer) => T | Promise<T>,
): Promise<T> {
  const inline = given.trimStart().startsWith('{')
  try {
    return await parse(inline ? Buffer.from(given) : await readOrFail(given))
  } catch (error) {
    if (!(error instanceof Wrong)) throw error
    // JSON that begins with something else, such as a quotation mark, is taken for a path, but may hold a secret.
    const untold = inline || given.includes('{')
    throw new TrustConfigError(variable, untold ? error.message : `${given}: ${error.message}`)
  }
}

async function readOrFail(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    throw new Wrong(
      '',
      `expected a readable file or inline JSON, found neither (${(error as NodeJS.ErrnoException).code})`,
    )
  }
}
