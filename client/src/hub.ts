import type { TabPort } from './port.ts'

/** What a hub needs. Pages with equal options (but for WebSocket) may share one hub. Can be cloned without `WebSocket`. */
export interface HubOptions {
  readonly url: string
  readonly licence?: string
  /** Whom the page is for: pages of different users must not share a session. */
  readonly user?: string
  /** Seconds between two polls; 0: no polling. */
  readonly pollSeconds: number
  readonly WebSocket?: typeof WebSocket
}

export class Hub {
  constructor(_options: HubOptions) {}
  attach(_port: TabPort): void {}
  close(): void {}
}
