import type { CallFrame } from './port.ts'
import type { Thread } from './relay.ts'
import type { Topic } from './topic.ts'

/** Returns one of the page's subscriptions to a thread. `leave` is called when it was the last. */
export function createThread<Types extends object>(
  topic: Topic,
  call: (frame: CallFrame) => Promise<unknown>,
  leave: () => void,
): Thread<Types> {
  const { id } = topic
  const offs: (() => void)[] = []
  let isLeft = false
  topic.uses++
  return {
    id,
    ready: topic.ready.promise,
    get members() {
      return topic.members
    },
    get count() {
      return topic.count
    },
    on(name: string, listener: (value: never) => void) {
      const off = topic.emitter.on(name, listener)
      offs.push(off)
      return off
    },
    async send(type, data = null, { to } = {}) {
      await call({ op: 'send', thread: id, type, data, to })
    },
    unsubscribe() {
      for (const off of offs) off()
      if (!isLeft && --topic.uses === 0) leave()
      isLeft = true
    },
  }
}
