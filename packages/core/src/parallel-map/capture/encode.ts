import { isModuleNamespaceObject, isProxy } from 'node:util/types'
import { GangflowError } from '../../errors/base.js'
import type { Node, Program, Property, Ref } from '../protocol.js'
import { partsOf } from '../views.js'
import { type Analysis, analyse, parentName } from './analyse.js'
import { builtinPlace, builtinPlaceNow, isAddedGlobal } from './builtins.js'
import { encodeView, refuseSharing } from './encode-view.js'
import { membersOf } from './flow-members.js'
import type { FreeName } from './free-names.js'
import { isAdded, isRequire, refuseElsewhere, refuseNative } from './functions.js'
import type { Inspection, Sight } from './inspect.js'
import { judgeObject } from './judge.js'
import { madeAnew } from './made-anew.js'
import { ownName } from './own.js'
import type { Packages } from './packages.js'
import { isPlainTree } from './plain-tree.js'
import { readMember, refuse } from './refuse.js'
import { checkWrites } from './writes.js'

/** Turns a function and all that it leads to into nodes. */
export class Encoder {
  readonly #nodes: Node[] = []
  readonly #seen = new Map<unknown, number>()
  readonly #writes = new Set<string>()
  readonly #missed: string[] = []
  #root: unknown
  /** Of the function whose names are being read. */
  #file: string | undefined

  constructor(
    readonly acorn: typeof import('acorn'),
    readonly inspection: Inspection,
    readonly packages: Packages,
    readonly isolation: 'thread' | 'process',
  ) {}

  /** `isAlone`: it leads to nothing else; `missed` are names that no scope has, so that they are the language's. */
  program(fn: unknown): { program: Program; writes: string[]; isAlone: boolean; missed: string[] } {
    this.#root = fn
    const name = (fn as { name?: string }).name || 'the function'
    const ref = this.#value(fn, name) as { n: number }
    const [only] = this.#nodes
    return {
      program: { nodes: this.#nodes, root: ref.n },
      writes: [...this.#writes],
      isAlone: this.#nodes.length === 1 && only?.k === 'function' && only.names.length + only.props.length === 0,
      missed: this.#missed,
    }
  }

  /** `path` names the value in errors. */
  #value(value: unknown, path: string): Ref {
    if (typeof value === 'symbol') return this.#symbol(value, path)
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return { v: value }
    const known = this.#seen.get(value)
    if (known !== undefined) return { n: known }
    // Taken before its parts are looked at: they may lead back to it.
    const number = this.#nodes.push({ k: 'data', value: undefined }) - 1
    this.#seen.set(value, number)
    this.#nodes[number] = this.#node(value, path)
    return { n: number }
  }

  #node(value: object, path: string): Node {
    const own = ownName(value)
    if (own !== undefined) return { k: 'own', name: own }
    const builtin = builtinPlace(value)
    if (builtin) return { k: 'builtin', ...builtin }
    const place = this.packages.commonJsPlace(value)
    if (place) return { k: 'module', ...place }
    return typeof value === 'function' ? this.#function(value, path) : this.#object(value, path)
  }

  #symbol(symbol: symbol, path: string): Ref {
    const registered = Symbol.keyFor(symbol)
    const known = Object.getOwnPropertyNames(Symbol).find(
      (key) => (Symbol as unknown as Record<string, unknown>)[key] === symbol,
    )
    if (registered === undefined && known === undefined)
      refuse(this.#name(), path, 'it is a symbol that only this thread has', 'make it with Symbol.for(…)')
    return { n: this.#nodes.push({ k: 'symbol', key: registered ?? known!, registered: registered !== undefined }) - 1 }
  }

  #function(fn: object, path: string): Node {
    const text = Function.prototype.toString.call(fn)
    refuseNative(fn, text, path, this.#name())
    // What has no file (`node -e`) requires from the working directory.
    if (isRequire(fn)) return { k: 'require', file: isPlace(this.#file) ? this.#file : `${process.cwd()}/` }
    const sight = this.inspection.sight(fn)
    const url = this.inspection.urlOf(sight.script)
    if (url?.startsWith('node:')) {
      const builtin = builtinPlaceNow(fn)
      if (builtin) return { k: 'builtin', ...builtin }
      refuse(this.#name(), path, 'it is a function that Node made', 'make it inside the function, or in `init`')
    }
    const place = url === undefined ? undefined : this.packages.modulePlace(fn, url)
    if (place) return { k: 'module', ...place }
    return this.#text(fn, path, text, sight, url)
  }

  #text(fn: object, path: string, text: string, sight: Sight, url: string | undefined): Node {
    const analysis = this.#analyse(text, path)
    const { finding, at } = analysis
    refuseElsewhere(finding, path, this.#name(), fn === this.#root)
    const before = this.#file
    this.#file = url
    const names = this.#names(finding.free, sight, fn === this.#root ? '' : ` (used by ${path})`)
    this.#file = before
    if (analysis.hasParent)
      names.push([parentName, this.#value(Object.getPrototypeOf(fn), `the class that ${path} extends`)])
    return {
      k: 'function',
      source: analysis.source,
      strict: analysis.strict,
      isClass: analysis.isClass,
      file: url,
      line: sight.line - at.line,
      column: (at.line === 0 ? Math.max(0, sight.column - at.column) : 0) - analysis.lead,
      names,
      self: finding.self && this.#self(finding.self, text, path),
      props: this.#props(fn, path, (key) => isAdded(fn, key, analysis)),
      prototype: analysis.isClass || analysis.isArrow ? [] : this.#prototypeOf(fn, path),
    }
  }

  #analyse(text: string, path: string): Analysis {
    try {
      return analyse(text, this.acorn)
    } catch (error) {
      throw new GangflowError(
        {
          code: 'E_MAP_CAPTURE',
          what: `cannot send ${path} to a worker: its text cannot be read`,
          fix: 'write it as a plain function or arrow',
        },
        { cause: error },
      )
    }
  }

  #names(free: ReadonlyMap<string, FreeName>, sight: Sight, user: string): [string, Ref][] {
    const names: [string, Ref][] = []
    for (const [name, use] of free) {
      if (name === 'arguments')
        refuse(
          this.#name(),
          `arguments${user}`,
          'it belongs to the function around',
          'copy what you need of it into a variable',
        )
      const scope =
        sight.scopes.find((one) => Object.hasOwn(one, name)) ?? (isAddedGlobal(name) ? globalThis : undefined)
      if (scope === undefined) {
        this.#missed.push(name)
        continue
      }
      const value = (scope as Record<string, unknown>)[name]
      if (use.assigned !== undefined) {
        refuse(
          this.#name(),
          `${name}${user}`,
          `the function assigns to it (\`${use.assigned}\`), and the variable here would not change`,
          'return the value from the function, or write into an array from shared.*',
        )
      }
      for (const write of use.writes) if (checkWrites(this.#name(), name, write, value)) this.#writes.add(name)
      names.push([name, this.#used(value, use, name + user)])
    }
    return names
  }

  /** Of a module only the members that are used travel: what else it holds is nobody's business. */
  #used(value: unknown, use: FreeName, path: string): Ref {
    const bag = typeof value === 'object' && value !== null && ownName(value) === undefined
    if (
      !bag ||
      use.members === undefined ||
      !(isModule(value as object) || isProxy(value) || this.packages.isOwnExports(value))
    )
      return this.#value(value, path)
    return this.#members(value as object, use.members, path)
  }

  #members(value: object, members: Iterable<string>, path: string): Ref {
    const props: Property[] = []
    const number = this.#nodes.push({ k: 'data', value: undefined }) - 1
    for (const key of members) {
      const inner = `${path}.${key}`
      if (key in value)
        props.push({ key, value: this.#value(readMember(value, key, inner, this.#name()), inner), enumerable: true })
    }
    this.#nodes[number] = { k: 'object', proto: undefined, props, frozen: true }
    return { n: number }
  }

  /** A flow with only those of its members that the arrow uses, and those that its methods use in turn. */
  #self(use: FreeName, text: string, path: string): Ref {
    const members = membersOf(use, text, path, this.#name(), (fn, name) => this.#analyse(fn, name).finding.ownThis)
    return this.#members(members.self, members.names, 'this')
  }

  #object(value: object, path: string): Node {
    const parts = partsOf(value)
    if (parts) return encodeView(value, parts, path, this.isolation, this.#name())
    if (isModuleNamespaceObject(value)) return this.#namespace(value, path)
    const made = madeAnew(value)
    if (made) return made
    const kind = judgeObject(value, path, this.#name())
    if (kind === 'data') return { k: 'data', value }
    if (kind === 'shared' && this.isolation === 'process') refuseSharing(path, this.#name())
    if (kind === 'shared') return { k: 'data', value }
    if ((kind === 'array' || kind === 'object') && isPlainTree(value)) return { k: 'tree', value }
    if (kind === 'array')
      return {
        k: 'array',
        items: (value as unknown[]).map((each, index) => this.#value(each, `${path}[${index}]`)),
        frozen: true,
      }
    if (kind === 'map') {
      const entries = [...(value as Map<unknown, unknown>)].map(
        ([key, each]) =>
          [this.#value(key, `a key of ${path}`), this.#value(each, `${path}.get(${String(key)})`)] as const,
      )
      return { k: 'map', entries, frozen: true }
    }
    if (kind === 'set')
      return {
        k: 'set',
        items: [...(value as Set<unknown>)].map((each) => this.#value(each, `a value of ${path}`)),
        frozen: true,
      }
    const proto = Object.getPrototypeOf(value) as object | null
    const plain = proto === Object.prototype || proto === null
    return {
      k: 'object',
      proto: plain ? (proto === null ? null : undefined) : this.#prototype(proto!, path),
      props: this.#props(value, path, () => true),
      // An instance has methods of its own that may write to it; each worker has its copy.
      frozen: plain,
    }
  }

  #namespace(value: object, path: string): Node {
    return { k: 'object', proto: undefined, props: this.#props(value, path, () => true), frozen: true }
  }

  #prototype(proto: object, path: string): Ref {
    const type: unknown = Object.hasOwn(proto, 'constructor')
      ? (proto as { constructor: unknown }).constructor
      : undefined
    if (typeof type !== 'function' || type.prototype !== proto) return this.#value(proto, `the prototype of ${path}`)
    const of = this.#value(type, `${type.name}, the class of ${path},`)
    return { n: this.#nodes.push({ k: 'prototype', of }) - 1 }
  }

  #props(value: object, path: string, wanted: (key: string) => boolean): Property[] {
    const props: Property[] = []
    for (const key of Reflect.ownKeys(value)) {
      if (typeof key === 'string' && !wanted(key)) continue
      const descriptor = Object.getOwnPropertyDescriptor(value, key)!
      const inner = typeof key === 'string' ? `${path}.${key}` : `${path}[${String(key)}]`
      const name = typeof key === 'string' ? key : this.#symbol(key, inner)
      const enumerable = descriptor.enumerable === true
      if ('value' in descriptor) props.push({ key: name, value: this.#value(descriptor.value, inner), enumerable })
      else {
        const { get, set } = descriptor
        props.push({
          key: name,
          enumerable,
          ...(get && { get: this.#value(get, inner) }),
          ...(set && { set: this.#value(set, inner) }),
        })
      }
    }
    return props
  }

  #prototypeOf(fn: object, path: string): Property[] {
    const proto: unknown = (fn as { prototype?: unknown }).prototype
    if (typeof proto !== 'object' || proto === null) return []
    return this.#props(proto, `${path}.prototype`, (key) => key !== 'constructor')
  }

  #name(): string {
    return (this.#root as { name?: string }).name || 'the function'
  }
}

function isPlace(file: string | undefined): file is string {
  return file !== undefined && /^(?:file:|\/)/.test(file)
}

/** Test runners make objects of their own for the exports of a module. */
function isModule(value: object): boolean {
  return isModuleNamespaceObject(value) || Object.prototype.toString.call(value) === '[object Module]'
}
