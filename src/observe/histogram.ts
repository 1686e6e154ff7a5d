import type { Metric, Registry } from 'prom-client'

/**
 * A histogram for the way of an event: observing is a few additions. prom-client's own makes labels and hashes them at
 * each observation, which is as long as a tenth of a publish.
 */
export class Histogram {
  readonly #name: string
  readonly #help: string
  readonly #bounds: readonly number[]
  readonly #counts: number[]
  #sum = 0

  /** `bounds` are the buckets' upper bounds, in growing order. */
  constructor(name: string, help: string, bounds: readonly number[], registry: Registry) {
    this.#name = name
    this.#help = help
    this.#bounds = bounds
    this.#counts = Array.from({ length: bounds.length + 1 }, () => 0)
    // What a registry asks of a metric when it is scraped: its name, and get().
    registry.registerMetric({ name, get: () => this.#get() } as unknown as Metric)
  }

  observe(value: number): void {
    let bucket = 0
    while (bucket < this.#bounds.length && value > this.#bounds[bucket]!) bucket++
    this.#counts[bucket]!++
    this.#sum += value
  }

  #get(): object {
    let count = 0
    const buckets = this.#counts.map((inBucket, i) => {
      count += inBucket
      return { metricName: `${this.#name}_bucket`, labels: { le: this.#bounds[i] ?? '+Inf' }, value: count }
    })
    const sum = { metricName: `${this.#name}_sum`, labels: {}, value: this.#sum }
    const total = { metricName: `${this.#name}_count`, labels: {}, value: count }
    const values = [...buckets, sum, total]
    return { name: this.#name, help: this.#help, type: 'histogram', aggregator: 'sum', values }
  }
}
