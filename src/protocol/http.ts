import type { Refusal } from './refusal.ts'

/** An HTTP call as the API sees it, whoever reads it off the wire. */
export interface HttpRequest {
  readonly method: string
  /** Path and query. */
  readonly url: string
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, string>>
  /** Read last. */
  body: Buffer
}

export interface HttpAnswer {
  readonly status: number
  /** But for those that a port writes itself: length, date, what concerns the connection. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Buffer
}

/** What a port hands its calls to: the API declares none of its own, so that either can be changed alone. */
export interface HttpCalls {
  /** Bytes that a body may have. */
  readonly bodyBytes: number
  /** Calls that come by the thousand: POST, by path. */
  readonly hot: ReadonlyMap<string, (request: HttpRequest) => Promise<HttpAnswer>>
  /** What the hot calls read of the headers, by lower-case name: reading all would cost more than the call. */
  readonly hotHeaders: readonly string[]
  /** Answers any other call. Never rejects. */
  answer(request: HttpRequest): Promise<HttpAnswer>
  /** Returns the answer to a body over `bodyBytes`. */
  tooLarge(): HttpAnswer
}

/** What the WebSocket port hands the calls of browsers to. */
export interface BrowserCalls {
  /** Where they are made. */
  readonly path: string
  /** Answers a call, with `refusal` if the port lets it in no further. Never rejects. */
  answer(request: HttpRequest, refusal?: Refusal): Promise<HttpAnswer>
}
