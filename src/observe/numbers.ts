import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue, Registry } from 'prom-client'

/** What one process has counted, in a form that can be sent to another. */
export type Numbers = readonly MetricObjectWithValues<MetricValue<string>>[]

/** The format of `exposition`. */
export const CONTENT_TYPE = Registry.PROMETHEUS_CONTENT_TYPE

/** Returns the numbers of several processes together: sums, or what else each metric says of itself. */
export function addUp(all: readonly Numbers[]): Numbers {
  return aggregate(all).getMetricsAsArray() as unknown as Numbers
}

/** Returns the same as text. */
export function exposition(all: readonly Numbers[]): Promise<string> {
  return aggregate(all).metrics()
}

/** Returns what still counts when the process is gone: counters and histograms, which must never go down. */
export function lasting(numbers: Numbers): Numbers {
  // The types take `type` for a number; at run time it is the word.
  return numbers.filter(({ type }) => ['counter', 'histogram'].includes(String(type)))
}

function aggregate(all: readonly Numbers[]): Registry {
  return AggregatorRegistry.aggregate(all as Numbers[])
}
