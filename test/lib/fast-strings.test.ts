import { execFileSync } from 'node:child_process'
import { t } from 'tap'

const LIB = new URL('../../src/lib/fast-strings.js', import.meta.url).href
const MAIN = new URL('../../src/main.js', import.meta.url).href

/** Returns whether V8 keeps String.prototype as a fast object after all that the relay imports, and after the mending. */
function isFast(code: string): boolean {
  const flags = ['--allow-natives-syntax', '--input-type=module', '--eval']
  const program = `await import('${MAIN}'); ${code}; console.log(%HasFastProperties(String.prototype))`
  return execFileSync(process.execPath, [...flags, program], { encoding: 'utf8' }).trim() === 'true'
}

await t.test('the methods of strings are found in the fast way, whatever was imported', async t => {
  t.equal(isFast(`(await import('${LIB}')).keepStringsFast()`), true)
})

await t.test('there is a reason to mend it: when this fails, fast-strings.ts can go', async t => {
  t.equal(isFast(''), false)
})
