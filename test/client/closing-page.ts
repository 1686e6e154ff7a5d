/** A page as a program of its own: is live once, closes, and has to end by itself, as nothing is left that runs. */
import { connect } from '@throughline/client'
import { WebSocket } from 'ws'

const [url, token, how] = process.argv.slice(2) as [string, string, string]
const relay = connect({ url, token, fetchSince: () => [], WebSocket })
relay.on('event', () => {})
relay.on('state', ({ state }) => console.log(state))
const thread = relay.subscribe('1', { presence: true })
relay.watch(['8'])
if (how === 'live') await Promise.all([relay.ready, thread.ready])
// Else in the middle of whatever it does: there is nobody at this address.
else await new Promise(resolve => setTimeout(resolve, 500))
const call = relay.presence('1').then(
  () => 'answered',
  ({ code }: { code: string }) => code,
)
relay.close()
console.log(`closed ${await call}`)
