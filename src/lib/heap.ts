import { setFlagsFromString } from 'node:v8'

/**
 * Percent by which V8 lets its old generation grow before it collects it. By itself it waits for a multiple; but a storm of
 * connections leaves a little garbage for each of them, and memory that was once taken is not given back.
 */
const GROWTH = 30

/** Makes this process keep little garbage: a third less memory for each connection, for some more time in the collector. */
export function keepHeapSmall(): void {
  setFlagsFromString(`--heap-growing-percent=${GROWTH}`)
}
