import { connect, type Fetch, type Relay as Connection, type RelayEvent } from '@throughline/client'
import { WebSocket } from 'ws'
import type { MessengerOrigin } from '../support/messenger-origin.ts'
import type { Teardown } from '../support/relay.ts'

type Options = Partial<Parameters<typeof connect>[0]>

/** What a page of the messenger has: a client of the real package, and every event that it was given. */
export interface Page {
  readonly relay: Connection
  readonly events: RelayEvent[]
  readonly states: string[]
  readonly errors: string[]
  /** The ids that it was given of a chain, in order. */
  ids(chain: string): string[]
}

/** Opens a page of a user that is subscribed to threads. */
export function openPage(
  t: Teardown,
  origin: MessengerOrigin,
  url: string,
  { user = '7', threads = [], ...options }: Options & { user?: string; threads?: readonly string[] } = {},
): Page {
  const query = ['user=' + user, ...threads.map(thread => 'thread=' + thread)].join('&')
  const relay = connect({
    url,
    token: async () => (await fetch(`${origin.url}/token?${query}`)).text(),
    fetchSince: asking(`${origin.url}/since?${query}`),
    poll: asking(`${origin.url}/poll?${query}`),
    pollSeconds: 0.2,
    WebSocket,
    ...options,
  })
  t.teardown(() => relay.close())
  const events: RelayEvent[] = []
  const states: string[] = []
  const errors: string[] = []
  relay.on('event', event => events.push(event))
  relay.on('state', ({ state }) => states.push(state))
  relay.on('error', error => errors.push(error.code))
  for (const thread of threads) relay.subscribe(thread)
  return { relay, events, states, errors, ids: chain => events.filter(e => e.chain === chain).map(({ id }) => id) }
}

function asking(url: string): Fetch {
  return async chains => {
    const response = await fetch(url, { method: 'POST', body: JSON.stringify(chains) })
    if (!response.ok) throw new Error(`the origin answered ${response.status}`)
    return (await response.json()) as Awaited<ReturnType<Fetch>>
  }
}
