/**
 * 1,000 sockets in threads of 10, all of which send as much as the server takes: each gets a packet of frames at a time,
 * and the next packets go out when most of what the last ones cause has arrived.
 */
import { type Contestant, end } from '../lib/contestant.ts'
import { frameOfText } from '../lib/receiver.ts'
import { measureShares } from '../lib/shares.ts'
import { RECEIVER_PAUSE_MS, sleep, takeTurns, until } from '../lib/turns.ts'
import { close, complete, eventsOf, open } from './crowd.ts'
import type { Session } from './session.ts'

const SOCKETS = 1000
const MEMBERS = 10
const PACKET = 10
const WARM_SECONDS = 1
/** Sends that are under way at most before the next packets go out. */
const AHEAD = 5000
/** After these many connections Throughline's ids have all the same length, and so have frames with a sender. */
const EARLIER = 40
const FIRST = 1000

export async function openTyping(contestant: Contestant): Promise<Session> {
  const server = await contestant.start()
  const { sending } = server
  if (sending === undefined) throw new Error('this contestant cannot send')
  const joining = server.joiningToSend ?? server.joining
  close(await open(server, { payload: 0 }, [0, EARLIER], () => ['t0'], joining))
  // How long a frame is that others get.
  const pair = await open(server, { payload: 0 }, [FIRST, FIRST + 2], () => ['t999'], joining)
  pair[0]!.write(frameOfText(sending('t999')))
  const { length: payload } = await pair[1]!.next()
  close(pair)
  const threadOf = (user: number): string => `t${100 + Math.floor((user - FIRST) / MEMBERS)}`
  const receivers = await open(server, { payload }, [FIRST, FIRST + SOCKETS], user => [threadOf(user)], joining)
  const packets = receivers.map((_, i) =>
    Buffer.concat(Array.from({ length: PACKET }, () => frameOfText(sending(threadOf(FIRST + i))))),
  )
  let sent = 0

  async function measure(seconds: number): Promise<Record<string, number>> {
    let going = true
    const stop = takeTurns(RECEIVER_PAUSE_MS, () => {
      if (!going || sent - eventsOf(receivers) / (MEMBERS - 1) > AHEAD) return
      for (const [i, receiver] of receivers.entries()) receiver.write(packets[i]!)
      sent += SOCKETS * PACKET
    })
    const before = eventsOf(receivers)
    await until('the first packets have arrived', () => eventsOf(receivers) - before >= SOCKETS * PACKET)
    const start = eventsOf(receivers)
    const shares = measureShares(server.nodes)
    await sleep(seconds * 1000)
    const { elapsed, servers, client, others } = shares()
    const arrived = eventsOf(receivers) - start
    going = false
    const each = (sent / SOCKETS) * (MEMBERS - 1)
    await complete(receivers, () => each)
    stop()
    return { sends: arrived / (MEMBERS - 1) / elapsed, server: servers[0] ?? 0, client, others }
  }

  await measure(WARM_SECONDS)
  return {
    measure,
    async close() {
      close(receivers)
      await end(server)
    },
  }
}
