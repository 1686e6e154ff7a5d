/** Where Redis is. `config` makes one from THROUGHLINE_BUS. */
export type RedisAddress =
  | { readonly kind: 'single'; readonly url: string }
  | { readonly kind: 'sentinel'; readonly sentinels: readonly HostPort[]; readonly name: string; readonly login: Login }
  | { readonly kind: 'cluster'; readonly nodes: readonly HostPort[]; readonly login: Login }

export interface HostPort {
  readonly host: string
  readonly port: number
}

export interface Login {
  readonly username?: string
  readonly password?: string
}
