import { builtinPlace } from './builtins.js'
import { flowSelf } from './flow-self.js'
import type { FreeName } from './free-names.js'
import { ownName } from './own.js'
import { refuse } from './refuse.js'
import { checkWrites, readOnly } from './writes.js'

/**
 * The flow that is the `this` of an arrow, and which of its members the arrow uses, with those that its methods use in
 * turn. `ownThisOf` reads how a method uses its `this`, from its text.
 */
export function membersOf(
  use: FreeName,
  text: string,
  path: string,
  name: string,
  ownThisOf: (text: string, path: string) => FreeName | undefined,
): { self: object; names: ReadonlySet<string> } {
  const fix = 'copy what you need of `this` into a variable before the map'
  const self = flowSelf(text)
  if (self === undefined) refuse(name, `\`this\` of ${path}`, "an arrow's `this` cannot be seen from outside", fix)
  const names = new Set<string>()
  const look = (one: FreeName): void => {
    if (one.members === undefined)
      refuse(name, '`this`', 'the whole flow cannot be sent, only the members that are used', fix)
    for (const write of one.writes) {
      if (write.path?.length === 0 && !write.called) throw readOnly(name, 'this', write.text)
      checkWrites(name, 'this', write, self)
    }
    for (const member of one.members) {
      if (names.has(member)) continue
      names.add(member)
      const value = (self as Record<string, unknown>)[member]
      if (typeof value !== 'function' || ownName(value) || builtinPlace(value)) continue
      const ownThis = ownThisOf(Function.prototype.toString.call(value), `this.${member}`)
      if (ownThis) look(ownThis)
    }
  }
  look(use)
  return { self, names }
}
