/**
 * Returns where spans are sent, for the URL of a collector: /v1/traces unless it has a path of its own (OTLP, "OTLP/HTTP
 * Request"); undefined for what is no such URL. A login does not belong in it: OTEL_EXPORTER_OTLP_HEADERS is for that.
 */
export function parseOtlp(text: string): string | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.username !== '' || url.password !== '')
    return undefined
  if (url.pathname === '/') url.pathname = '/v1/traces'
  return url.href
}
