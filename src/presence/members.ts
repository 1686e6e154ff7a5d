import type { UserId } from '../protocol/ids.ts'

/**
 * Users and their connections. There is one of these for each thread, and most threads have few members, so a list is
 * used that is exactly as long as it must be (users and numbers by turns), and a map only where there are many.
 */
export type Members = readonly (UserId | number)[] | Map<UserId, number>

const FEW = 16

export const NOBODY: Members = []

export function connectionsOf(members: Members, user: UserId): number {
  if (members instanceof Map) return members.get(user) ?? 0
  const at = members.indexOf(user)
  return at === -1 ? 0 : (members[at + 1] as number)
}

/** Returns the members with another number of connections for one; 0 takes it out. What was given may be changed. */
export function withConnections(members: Members, user: UserId, connections: number): Members {
  if (members instanceof Map) {
    if (connections === 0) members.delete(user)
    else members.set(user, connections)
    return members
  }
  const others = members.includes(user) ? without(members, user) : members
  if (connections === 0) return others
  if (others.length < 2 * FEW) return others.concat(user, connections)
  return new Map([...list(others), [user, connections]])
}

export function countOf(members: Members): number {
  return members instanceof Map ? members.size : members.length / 2
}

export function* list(members: Members): Iterable<[UserId, number]> {
  if (members instanceof Map) yield* members
  else for (let i = 0; i < members.length; i += 2) yield [members[i] as UserId, members[i + 1] as number]
}

function without(members: readonly (UserId | number)[], user: UserId): readonly (UserId | number)[] {
  const at = members.indexOf(user)
  return members.filter((_, i) => i !== at && i !== at + 1)
}
