import type { Node as AcornNode } from 'acorn'
import { isKnown, ownThisOf, type Scope } from './tree.js'

/** A free name of a function's text and how it is used. */
export interface FreeName {
  /** The names after the dot, where the name is used as `name.member` only; undefined otherwise. */
  members: Set<string> | undefined
  /** It is only asked for its type. */
  typeofOnly: boolean
  /** The text of the first place that assigns to it. */
  assigned: string | undefined
  /** Places that write into it: `name.push(…)`, `name[i] = …`. */
  readonly writes: Write[]
}

export interface Write {
  readonly text: string
  /** From the name to what is written into; undefined where that is computed. */
  readonly path: readonly string[] | undefined
  /** By a method of the name of one that changes an array, a Map or a Set: of another object it may do anything. */
  readonly called: boolean
}

export interface Finding {
  readonly free: ReadonlyMap<string, FreeName>
  /** How an arrow's own `this` is used; undefined where it is not. */
  readonly self: FreeName | undefined
  /** What cannot be made anew elsewhere: `super`, `import.meta`, a private name, `new.target`, `eval`. */
  readonly refused: string | undefined
  /** How the `this` that the function is called with is used; undefined where it is not. */
  readonly ownThis: FreeName | undefined
}

/** What was found so far of the names that a function's tree has from outside of it. */
export class FreeNames implements Finding {
  readonly free = new Map<string, FreeName>()
  self: FreeName | undefined
  refused: string | undefined
  ownThis: FreeName | undefined

  /** `root` is the function: what is called `this` in it may be its own. */
  constructor(
    readonly root: AcornNode,
    readonly text: string,
    readonly offset: number,
  ) {}

  use(name: string, scope: Scope | undefined, mark: (use: FreeName) => void, asksType = false): void {
    if (isKnown(name, scope)) return
    const use = this.free.get(name) ?? unused()
    if (!asksType) use.typeofOnly = false
    this.free.set(name, use)
    mark(use)
  }

  /** `typeof name`, which needs no name to be there. */
  useType(name: string, scope: Scope | undefined): void {
    const known = this.free.get(name)
    const mark = (use: FreeName): void => {
      use.members = undefined
      if (!known) use.typeofOnly = true
    }
    this.use(name, scope, mark, true)
  }

  useThis(scope: Scope | undefined, mark: (use: FreeName) => void): void {
    const owner = ownThisOf(scope)
    if (owner === this.root) {
      this.ownThis ??= unused()
      mark(this.ownThis)
    }
    if (owner) return
    this.self ??= unused()
    mark(this.self)
  }

  refuse(what: string): void {
    this.refused ??= what
  }

  textOf(node: AcornNode): string {
    const text = this.text.slice(node.start - this.offset, node.end - this.offset).replace(/\s+/g, ' ')
    return text.length > 60 ? `${text.slice(0, 57)}...` : text
  }
}

function unused(): FreeName {
  return { members: new Set(), typeofOnly: false, assigned: undefined, writes: [] }
}
