import type { FunctionNode, Node, Program, Property, Ref } from '../protocol.js'
import { viewOf } from '../views.js'
import { compileFunction, type Fixed } from './compile-function.js'
import { seal, sealTree } from './seal.js'

/** What this package's own functions are in a worker, by name. */
export type OwnFunctions = (name: string) => Promise<unknown>

const leaves: ReadonlySet<Node['k']> = new Set([
  'data',
  'view',
  'made',
  'builtin',
  'module',
  'own',
  'symbol',
  'require',
])

/** The function of a program, made anew here with all that it captured. */
export async function rebuild(program: Program, own: OwnFunctions): Promise<unknown> {
  const rebuilding = new Rebuilding(program.nodes, await loadModules(program.nodes, own))
  const root = rebuilding.node(program.root)
  rebuilding.finish()
  return root
}

/** Modules first: they alone take time of the event loop. */
async function loadModules(nodes: readonly Node[], own: OwnFunctions): Promise<Map<Node, unknown>> {
  const loaded = new Map<Node, unknown>()
  await Promise.all(
    nodes.map(async (node) => {
      if (node.k === 'own') loaded.set(node, await own(node.name))
      else if (node.k === 'module') {
        const whole = node.commonJs ? createRequire(node.file)(node.file) : await import(urlOf(node.file))
        loaded.set(node, walk(whole, node.path))
      }
    }),
  )
  return loaded
}

class Rebuilding {
  readonly #made = new Map<number, unknown>()
  readonly #frozen: object[] = []

  constructor(
    readonly nodes: readonly Node[],
    readonly loaded: ReadonlyMap<Node, unknown>,
  ) {}

  /** Freezes, once everything is there. */
  finish(): void {
    for (const value of this.#frozen) seal(value)
  }

  ref(ref: Ref): unknown {
    return 'n' in ref ? this.node(ref.n) : ref.v
  }

  node(number: number): unknown {
    if (this.#made.has(number)) return this.#made.get(number)
    const node = this.nodes[number]!
    const value = this.#make(node, (made) => this.#made.set(number, made))
    this.#made.set(number, value)
    return value
  }

  /** `early` makes a value known before its parts are made: they may lead back to it. */
  #make(node: Node, early: (made: unknown) => void): unknown {
    switch (node.k) {
      case 'data':
        return node.value
      case 'tree':
        sealTree(node.value)
        return node.value
      case 'prototype':
        return (this.ref(node.of) as { prototype: object }).prototype
      case 'view':
        return viewOf(node)
      case 'own':
      case 'module':
        return this.loaded.get(node)
      case 'builtin':
        return walk(node.module === undefined ? globalThis : process.getBuiltinModule(node.module), node.path)
      case 'made':
        return Reflect.construct(walk(globalThis, node.path) as new () => unknown, node.given)
      case 'require':
        return createRequire(node.file)
      case 'symbol':
        return node.registered ? Symbol.for(node.key) : walk(Symbol, [node.key])
      case 'array': {
        const array: unknown[] = []
        early(array)
        for (const item of node.items) array.push(this.ref(item))
        return this.#keep(array, node.frozen)
      }
      case 'map': {
        const map = new Map()
        early(map)
        for (const [key, value] of node.entries) map.set(this.ref(key), this.ref(value))
        return this.#keep(map, node.frozen)
      }
      case 'set': {
        const set = new Set()
        early(set)
        for (const item of node.items) set.add(this.ref(item))
        return this.#keep(set, node.frozen)
      }
      case 'object': {
        const proto = node.proto === undefined ? Object.prototype : node.proto && this.ref(node.proto)
        const object = Object.create(proto as object | null) as object
        early(object)
        this.#define(object, node.props)
        return this.#keep(object, node.frozen)
      }
      case 'function':
        return this.#function(node, early)
    }
  }

  #function(node: FunctionNode, early: (made: unknown) => void): unknown {
    const made = compileFunction(node, node.self && (this.ref(node.self) as object), this.#fixed(node))
    if (node.isClass) {
      // A class reads what it extends, and its static parts, at once.
      made.bind(node.names.map(([, ref]) => this.ref(ref)))
      const type = made.make()
      early(type)
      this.#define(type as object, node.props)
      return type
    }
    const fn = made.make()
    early(fn)
    this.#define(fn as object, node.props)
    if (node.prototype.length > 0) this.#define((fn as { prototype: object }).prototype, node.prototype)
    // At once: a class that is made next may call it.
    made.bind(node.names.map(([, ref]) => this.ref(ref)))
    return fn
  }

  /** What leads to nothing that may lead back to the function. */
  #fixed(node: FunctionNode): Fixed {
    const values = new Map<number, unknown>()
    let alone = false
    for (const [index, [, ref]] of node.names.entries()) {
      const kind = 'n' in ref ? this.nodes[ref.n]!.k : 'data'
      if (!leaves.has(kind)) continue
      values.set(index, this.ref(ref))
      if (kind === 'view') alone = true
    }
    return { values, alone }
  }

  #define(object: object, props: readonly Property[]): void {
    for (const { key, value, get, set, enumerable } of props) {
      const name = typeof key === 'string' ? key : (this.ref(key) as symbol)
      const rest = { enumerable, configurable: true }
      if (value) Object.defineProperty(object, name, { ...rest, writable: true, value: this.ref(value) })
      else {
        Object.defineProperty(object, name, {
          ...rest,
          ...(get && { get: this.ref(get) as () => unknown }),
          ...(set && { set: this.ref(set) as (value: unknown) => void }),
        })
      }
    }
  }

  #keep<T extends object>(value: T, frozen: boolean): T {
    if (frozen) this.#frozen.push(value)
    return value
  }
}

/** Loaded when a function needs it: most do not, and a worker starts sooner without. */
function createRequire(file: string): NodeJS.Require {
  return process.getBuiltinModule('node:module').createRequire(file)
}

function walk(from: unknown, path: readonly string[]): unknown {
  return path.reduce((value, key) => (value as Record<string, unknown>)[key], from)
}

function urlOf(file: string): string {
  return /^(?:file|data|node):/.test(file) ? file : process.getBuiltinModule('node:url').pathToFileURL(file).href
}
