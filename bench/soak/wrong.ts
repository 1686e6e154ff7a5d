import type { Call } from './origin.ts'

/** Frames that are answered by an error, some of them by a close. */
export const NONSENSE = [
  { op: 'fly' },
  { op: 'subscribe', threads: 'all' },
  { op: 'subscribe', threads: ['..'] },
  { op: 'send', thread: 't1', type: 'message' },
  { op: 'send', thread: 't1', type: 'typing', to: { user: 'nobody' } },
  { op: 'receipt', receipts: ['forged', 'again'] },
  { op: 'watch', users: [] },
  '{"op":"presence","thread":"t1","thread":"t2"}',
  '{"op":',
  `{"op":"send","thread":"t1","type":"typing","data":"${'x'.repeat(70_000)}"}`,
]

export const WRONG_CALLS: readonly [string, Call][] = [
  ['/v1/publish', { body: '{"to":' }],
  ['/v1/publish', { body: { to: { thread: '..' }, type: 'm', data: 1 } }],
  ['/v1/publish', { body: { to: { thread: 't1' }, type: 'm', data: 'x'.repeat(70_000) } }],
  ['/v1/publish', { body: {}, token: 'none' }],
  ['/v1/publish', { body: {}, type: 'text/plain' }],
  ['/v1/publish/batch', { body: { events: [{ to: { site: true }, type: 'bad type', data: 1 }] } }],
  ['/v1/heads', { body: { chains: ['nowhere'] } }],
  ['/v1/threads/t1/members', { body: { add: { u1: ['fly'] } } }],
  ['/v1/nowhere', { body: {} }],
  ['/v1/publish', { method: 'GET' }],
]
