import type { Metric, Registry } from 'prom-client'

/**
 * A counter for the way of an event, by the values of one label at most: counting is an addition. prom-client's own hashes
 * labels each time.
 */
export class Counter {
  readonly #name: string
  readonly #help: string
  readonly #label: string | undefined
  readonly #values = new Map<string, number>()

  constructor(name: string, help: string, label: string | undefined, registry: Registry) {
    this.#name = name
    this.#help = help
    this.#label = label
    if (label === undefined) this.#values.set('', 0)
    // What a registry asks of a metric when it is scraped: its name, and get().
    registry.registerMetric({ name, get: () => this.#get() } as unknown as Metric)
  }

  add(by: number, value = ''): void {
    this.#values.set(value, (this.#values.get(value) ?? 0) + by)
  }

  #get(): object {
    const label = this.#label
    const values = Array.from(this.#values, ([text, value]) => {
      return { value, labels: label === undefined ? {} : { [label]: text } }
    })
    return { name: this.#name, help: this.#help, type: 'counter', aggregator: 'sum', values }
  }
}
