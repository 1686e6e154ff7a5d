import { parseTraceparent, type Traceparent, traceparentText } from '../observe/tracing.ts'
import type { ConnectionId } from '../protocol/ids.ts'

/**
 * A traced event takes its `traceparent` over the bus where the id of the left-out connection stands, after a space: there
 * it costs an event that is not traced nothing, and a node that knows nothing of it takes it for a connection of others.
 */
export function withTrace(except: ConnectionId | undefined, trace: Traceparent): ConnectionId {
  return `${except ?? ''} ${traceparentText(trace)}` as ConnectionId
}

/** Parts what withTrace put together. */
export function withoutTrace(mark: ConnectionId): { except: ConnectionId | undefined; trace: Traceparent | undefined } {
  const space = mark.indexOf(' ')
  if (space === -1) return { except: mark, trace: undefined }
  const except = mark.slice(0, space)
  return {
    except: except === '' ? undefined : (except as ConnectionId),
    trace: parseTraceparent(mark.slice(space + 1)),
  }
}
