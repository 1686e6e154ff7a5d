/** How numbers are shown. */
const KIB = 1024

export function perSecond(value: number): string {
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)} M/s`
  return value >= 1e4 ? `${(value / 1e3).toFixed(0)} k/s` : `${value.toFixed(0)} /s`
}

export function share(value: number): string {
  return `${(value * 100).toFixed(0)} %`
}

export function micros(value: number): string {
  return `${value.toFixed(0)} µs`
}

export function microsPerSecond(value: number): string {
  return `${value.toFixed(value < 100 ? 2 : 0)} µs/s`
}

export function kibibytes(value: number): string {
  return `${(value / KIB).toFixed(2)} KiB`
}
