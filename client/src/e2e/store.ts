import { createIdentity, type Identity } from './identity.ts'
import type { State } from './thread.ts'

/** A device's identities and what its threads know, in IndexedDB. */
export interface Store {
  /** Returns the identity of this user on this device, made the first time. */
  identity(user: string): Promise<Identity>
  load(thread: string): Promise<State | undefined>
  /** Saves a state, and keeps what other tabs saved: call it when a handover was accepted. */
  save(state: State): Promise<void>
  close(): void
}

/** Opens the store of this web origin. `name` parts the stores of several sites on one web origin. */
export async function openStore(name = 'throughline-e2e'): Promise<Store> {
  const opening = indexedDB.open(name, 1)
  opening.onupgradeneeded = () => {
    opening.result.createObjectStore('identities')
    opening.result.createObjectStore('threads')
  }
  const database = await done(opening)
  const inside = (store: string, mode: IDBTransactionMode): IDBObjectStore =>
    database.transaction(store, mode).objectStore(store)
  return {
    async identity(user) {
      const found = await done<Identity | undefined>(inside('identities', 'readonly').get(user))
      if (found !== undefined) return found
      const made = await createIdentity(user)
      // Another tab may have made one meanwhile: the first one counts.
      const identities = inside('identities', 'readwrite')
      const first = await done<Identity | undefined>(identities.get(user))
      if (first === undefined) await done(identities.add(made, user))
      return first ?? made
    },
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
  const known = new Map([...before.known, ...state.known].map(identity => [identity.sig, identity]))
  const floor = Math.max(state.floor, before.floor)
  return { ...state, floor, epochs: [...epochs.values()], known: [...known.values()] }
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error!)
  })
}
