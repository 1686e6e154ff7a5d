import type { Snapshot } from './store.ts'

/** Returns who is there in the form that clients and origins are told (CONTRACT 20). Above 500 members it is only the count. */
export function describePresence({ members, count }: Pick<Snapshot, 'members' | 'count'>): object {
  const named = (members ?? []).map(({ user, info, connections }) => ({
    user,
    info: info === undefined ? undefined : (JSON.parse(info) as unknown),
    connections,
  }))
  return { members: named, count }
}
