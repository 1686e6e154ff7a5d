import { Type } from 'typebox'
import { STATES } from '../callbacks/queue.ts'

/**
 * What the calls take and answer, for the OpenAPI page. They describe and do not check: readEvent does, since `data` must
 * stay bytes; test/api/openapi.test.ts holds the two together.
 */
const Id = Type.Union(
  [
    Type.String({ pattern: '^(?=.*[^.])(?!__proto__$)[A-Za-z0-9_.:@-]{1,128}$' }),
    Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
  ],
  { description: '1 to 128 of A-Z a-z 0-9 _ . : @ -, not only dots; an integer stands for its decimal string' },
)

const Target = Type.Union(
  [
    Type.Object({ thread: Id }, { additionalProperties: false }),
    Type.Object({ users: Type.Array(Id, { minItems: 1, maxItems: 1000 }) }, { additionalProperties: false }),
    Type.Object({ site: Type.Literal(true) }, { additionalProperties: false }),
  ],
  { description: 'Exactly one of thread, users and site' },
)

export const Event = Type.Object(
  {
    to: Target,
    thread: Type.Optional(Id),
    type: Type.String({ pattern: '^[A-Za-z0-9_.:-]{1,64}$' }),
    data: Type.Any({ description: 'Any JSON; its bytes reach the clients unchanged' }),
    id: Type.Optional(Id),
    ephemeral: Type.Optional(
      Type.Boolean({ description: 'Without a place in the chain: lost to who is not connected' }),
    ),
    except: Type.Optional(
      Type.Union(Id.anyOf, { description: 'A connection: its client gets the place in the chain, not the content' }),
    ),
    receipt_to: Type.Optional(
      Type.Union(Id.anyOf, { description: 'A user: whose connections are told when the event has been delivered' }),
    ),
  },
  { additionalProperties: false },
)

export const Batch = Type.Object(
  { events: Type.Array(Event, { minItems: 1, maxItems: 1000 }) },
  { additionalProperties: false },
)

const Stamps = Type.Record(Type.String(), Type.Integer(), {
  description: 'By chain: thread:42, user:7 or site. Microseconds; empty for an ephemeral event',
})

export const Published = Type.Object({
  id: Type.String(),
  stamps: Stamps,
  duplicate: Type.Optional(Type.Literal(true)),
  online: Type.Optional(Type.Record(Type.String(), Type.Boolean(), { description: 'By user, with report=online' })),
})

export const Results = Type.Object({
  results: Type.Array(
    Type.Union([
      Published,
      Type.Object({
        error: Type.Object({ code: Type.String(), message: Type.String(), pointer: Type.Optional(Type.String()) }),
      }),
    ]),
    { description: 'In the order of events' },
  ),
})

export const Chains = Type.Object(
  {
    chains: Type.Array(
      Type.String({ pattern: '^(site|(thread|user):(?=.*[^.])(?!__proto__$)[A-Za-z0-9_.:@-]{1,128})$' }),
      { minItems: 1, maxItems: 1000, description: 'thread:42, user:7 or site' },
    ),
  },
  { additionalProperties: false },
)

export const Heads = Type.Object({
  heads: Type.Record(Type.String(), Type.Integer(), { description: 'By chain, as it was named. Microseconds' }),
})

export const Members = Type.Object(
  {
    add: Type.Optional(
      Type.Record(Type.String(), Type.Array(Type.String({ description: 'read, send or presence' })), {
        description: 'What each user may do in the thread from now on',
      }),
    ),
    remove: Type.Optional(Type.Array(Id)),
  },
  { additionalProperties: false, description: '1 to 1,000 users in all, each once' },
)

export const Disconnect = Type.Object(
  {
    revoke: Type.Optional(Type.Boolean({ description: 'Whether the tokens that the user has count no longer' })),
    reason: Type.Optional(Type.String({ description: 'The close reason; at most 123 bytes', default: 'disconnected' })),
  },
  { additionalProperties: false },
)

export const Users = Type.Object(
  { users: Type.Array(Id, { minItems: 1, maxItems: 1000 }) },
  { additionalProperties: false },
)

const OnlineUsers = Type.Record(Type.String(), Type.Boolean(), { description: 'By user' })
export const Online = Type.Object({ online: OnlineUsers })

export const ThreadPresence = Type.Object({
  members: Type.Array(
    Type.Object({
      user: Type.String(),
      info: Type.Optional(Type.Any({ description: "The token's info" })),
      connections: Type.Integer({ description: 'On all nodes' }),
    }),
    { description: 'Empty when there are more than 500' },
  ),
  count: Type.Integer({ description: 'Users' }),
})

export const Report = Type.Object({ report: Type.Optional(Type.Literal('online')) })

export const User = Type.Object({ user: Id })

export const Ice = Type.Object({
  iceServers: Type.Array(
    Type.Object({
      urls: Type.Array(Type.String()),
      username: Type.Optional(Type.String()),
      credential: Type.Optional(Type.String()),
    }),
    { description: 'As RTCPeerConnection takes them' },
  ),
  ttl: Type.Integer({ description: 'Seconds that the credentials are good for' }),
})

export const PublicKeys = Type.Object({
  keys: Type.Array(
    Type.Object({
      kty: Type.Literal('OKP'),
      crv: Type.Literal('Ed25519'),
      alg: Type.Literal('EdDSA'),
      use: Type.Literal('sig'),
      kid: Type.String(),
      x: Type.String(),
    }),
    { description: 'JWKs (RFC 7517)' },
  ),
  whpk: Type.Array(Type.String({ description: 'whpk_ and the same key in base64, as Standard Webhooks writes it' })),
})

export const Queue = Type.Object({
  state: Type.Union(
    STATES.map(state => Type.Literal(state)),
    { description: 'gone: it answered 410, and is called no more until its configuration changes' },
  ),
  depth: Type.Integer({ description: 'Events that wait' }),
  age: Type.Optional(Type.Number({ description: 'Seconds that the oldest has waited' })),
  next_attempt: Type.Optional(Type.Integer({ description: 'Milliseconds since the epoch' })),
  last_error: Type.Optional(
    Type.Object({
      at: Type.Integer({ description: 'Milliseconds since the epoch' }),
      message: Type.String(),
    }),
  ),
})

export const CallbackDiagnosis = Type.Object({
  ok: Type.Boolean(),
  url: Type.String({ description: 'What was called' }),
  steps: Type.Array(
    Type.Object({
      step: Type.String({ description: 'dns, address, tcp, tls, http, challenge or signature' }),
      ok: Type.Boolean(),
      says: Type.String(),
      ms: Type.Integer(),
    }),
  ),
  culprit: Type.Optional(
    Type.Object({
      name: Type.String({ description: 'Stable; see docs/callbacks.md' }),
      says: Type.String(),
      remedy: Type.String(),
    }),
  ),
  allow: Type.Object({
    method: Type.Literal('POST'),
    path: Type.String(),
    user_agent: Type.String(),
    headers: Type.Array(Type.String()),
  }),
})

export const Done = Type.Object({}, { additionalProperties: false })

export const Dropped = Type.Object({ dropped: Type.Integer({ description: 'Events that will not be sent' }) })

export const Problem = Type.Object({
  type: Type.String(),
  title: Type.String(),
  status: Type.Integer(),
  code: Type.String({ description: 'Stable; see docs/errors.md' }),
  detail: Type.String(),
  pointer: Type.Optional(Type.String({ description: 'JSON Pointer to the field that is wrong' })),
})
