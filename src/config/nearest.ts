/** Returns the name that `wrong` was most likely meant to be, or undefined when none is near. */
export function nearest(wrong: string, names: readonly string[]): string | undefined {
  const ranked = names.map(name => ({ name, edits: edits(wrong, name) })).toSorted((a, b) => a.edits - b.edits)
  const best = ranked[0]
  const near = best && best.edits <= Math.min(3, best.name.length / 2)
  return near ? best.name : names.find(name => name.startsWith(wrong))
}

/** Counts the letters to insert, remove or replace that make `a` into `b` (Levenshtein). */
function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1]
    for (let j = 0; j < b.length; j++) {
      const replaced = (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1)
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
