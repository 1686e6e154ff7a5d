/** Tells whether an object has anything that is not its own, or could be given it. */
export function inherits(object: object): boolean {
  const prototype = Object.getPrototypeOf(object) as object | null
  if (prototype === null) return false
  const isBare = Reflect.ownKeys(prototype).length === 0 && Object.getPrototypeOf(prototype) === null
  return !isBare || !Object.isFrozen(prototype)
}
