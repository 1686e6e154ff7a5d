import { createIdentity, type Identity } from './identity.ts'
import type { State } from './thread.ts'

/** What a device keeps for one user: the identity, and what its threads know. */
export interface Store {
  readonly identity: Identity
  load(thread: string): Promise<State | undefined>
  /** Saves a state, and keeps what other tabs saved: call it when a handover was accepted. */
  save(state: State): Promise<void>
  close(): void
}

/**
 * Opens a user's store in IndexedDB, and makes the user's identity the first time. `name` parts the stores of several sites on
 * one web origin; `indexedDB.deleteDatabase(name + '/' + user)` forgets all.
 */
export async function openStore(user: string, name = 'throughline-e2e'): Promise<Store> {
  const opening = indexedDB.open(`${name}/${user}`, 1)
  opening.onupgradeneeded = () => {
    opening.result.createObjectStore('identity')
    opening.result.createObjectStore('threads')
  }
  const database = await done(opening)
  // Another tab may forget all: an open database would keep it from that.
  database.onversionchange = () => database.close()
  const inside = (store: 'identity' | 'threads', mode: IDBTransactionMode): IDBObjectStore =>
    database.transaction(store, mode).objectStore(store)
  const find = (store: IDBObjectStore): Promise<Identity | undefined> => done(store.get(user))
  const make = async (): Promise<Identity> => {
    const made = await createIdentity(user)
    // Another tab may have made one meanwhile: the first one counts.
    const store = inside('identity', 'readwrite')
    const first = await find(store)
    if (first === undefined) await done(store.add(made, user))
    return first ?? made
  }
  return {
    identity: (await find(inside('identity', 'readonly'))) ?? (await make()),
    load: thread => done<State | undefined>(inside('threads', 'readonly').get(thread)),
    async save(state) {
      const threads = inside('threads', 'readwrite')
      const before = await done<State | undefined>(threads.get(state.thread))
      await done(threads.put(merged(state, before), state.thread))
    },
    close: () => database.close(),
  }
}

function merged(state: State, before: State = state): State {
  const epochs = new Map(before.epochs.map(epoch => [epoch.secret, epoch]))
  for (const epoch of state.epochs) {
    const roster = new Set([...(epochs.get(epoch.secret)?.roster ?? []), ...epoch.roster])
    epochs.set(epoch.secret, { ...epoch, roster: [...roster] })
  }
  const known = new Map([...before.known, ...state.known].map(one => [one.enc + one.sig + one.user, one]))
  const floor = Math.max(state.floor, before.floor)
  return { ...state, floor, epochs: [...epochs.values()], known: [...known.values()] }
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error!)
  })
}
