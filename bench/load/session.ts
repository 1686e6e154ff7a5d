/** A server with its crowd, ready to be measured for a while, again and again. */
export interface Session {
  measure(seconds: number): Promise<Readonly<Record<string, number>>>
  close(): Promise<void>
}
