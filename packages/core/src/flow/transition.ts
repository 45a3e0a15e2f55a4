import type { Node, ObjectExpression, Property } from 'acorn'
import type { Transition } from './description.js'
import { memberOfThis, type NextCall } from './parse.js'

/** Why a call of `this.next(…)` cannot be read, or what it says. */
export type ReadTransition =
  | { readonly transition: Transition }
  | { readonly code: string; readonly what: string; readonly fix: string }

const literalFix =
  "write it literally: this.next(this.a), this.next(this.a, { foreach: 'items' }), { numParallel: 4 }, or this.next({ x: this.a, y: this.b }, { condition: 'mode' })"

/** Reads the literal shape of a call. `text` gives a node as written. */
export function readTransition(call: NextCall, text: (node: Node) => string): ReadTransition {
  const { args } = call
  const first = args[0]
  if (first === undefined) return shape('this.next() names no step', 'write this.next(this.end)')
  const last = args[args.length - 1]!
  if (args.length === 1 || memberOfThis(last) !== undefined) return readSteps(args, text)
  if (args.length > 2)
    return shape(
      `this.next(…) has '${text(last)}' after several steps`,
      'options go with one step: this.next(this.a, { … })',
    )
  if (last.type !== 'ObjectExpression')
    return shape(`the options of this.next(…) are computed: '${text(last)}'`, literalFix)
  const options = readOptions(last as ObjectExpression, text)
  if (typeof options === 'string') return shape(options, literalFix)
  return readWithOptions(first, options, text)
}

function readSteps(args: readonly Node[], text: (node: Node) => string): ReadTransition {
  const targets: string[] = []
  for (const arg of args) {
    const target = memberOfThis(arg)
    if (target === undefined)
      return arg.type === 'ObjectExpression'
        ? shape(
            'this.next(…) has cases and no condition',
            "write this.next({ x: this.a, y: this.b }, { condition: 'mode' })",
          )
        : shape(`this.next(…) is given '${text(arg)}', which is no step written as this.name`, literalFix)
    if (targets.includes(target))
      return shape(
        `this.next(…) names ${target} twice`,
        `for several tasks of one step use a foreach: this.next(this.${target}, { foreach: 'items' })`,
      )
    targets.push(target)
  }
  return { transition: targets.length === 1 ? { kind: 'linear', target: targets[0]! } : { kind: 'branch', targets } }
}

const valid = ['foreach', 'reuse', 'numParallel', 'condition']

function readWithOptions(
  first: Node,
  options: ReadonlyMap<string, Node>,
  text: (node: Node) => string,
): ReadTransition {
  const unknown = [...options.keys()].filter((name) => !valid.includes(name))
  if (unknown.length > 0)
    return shape(
      `this.next(…) has no option ${unknown.map((name) => `'${name}'`).join(', ')}`,
      `valid options: ${valid.join(', ')}`,
    )
  const kinds = ['foreach', 'numParallel', 'condition'].filter((name) => options.has(name))
  if (kinds.length !== 1)
    return shape(
      `this.next(…) has ${kinds.length === 0 ? 'none' : 'more than one'} of foreach, numParallel and condition`,
      literalFix,
    )
  if (options.has('reuse') && kinds[0] !== 'foreach')
    return shape("this.next(…) has 'reuse' without a foreach", "write { foreach: 'items', reuse: true }")
  if (kinds[0] === 'condition') return readSwitch(first, options.get('condition')!, text)
  const target = memberOfThis(first)
  if (target === undefined)
    return shape(`this.next(…) is given '${text(first)}', which is no step written as this.name`, literalFix)
  if (kinds[0] === 'numParallel') return readGang(target, options.get('numParallel')!)
  const artifact = textOf(options.get('foreach')!)
  if (artifact === undefined)
    return shape(
      `foreach is computed: '${text(options.get('foreach')!)}'`,
      `name the artifact: set this.items = ${text(options.get('foreach')!)}, then { foreach: 'items' }`,
    )
  const reuse = options.has('reuse') ? literalOf(options.get('reuse')!) : false
  if (typeof reuse !== 'boolean')
    return shape(`reuse is computed: '${text(options.get('reuse')!)}'`, 'write reuse: true, or leave it out')
  return { transition: { kind: 'foreach', target, artifact, reuse } }
}

function readGang(target: string, value: Node): ReadTransition {
  const size = literalOf(value)
  if (size === undefined) return { transition: { kind: 'gang', target, size: null } }
  if (typeof size === 'number' && Number.isSafeInteger(size) && size >= 1)
    return { transition: { kind: 'gang', target, size } }
  return {
    code: 'E_NUM_PARALLEL',
    what: `numParallel is ${JSON.stringify(size)}`,
    fix: 'give a whole number >= 1, such as { numParallel: 4 }',
  }
}

function readSwitch(cases: Node, condition: Node, text: (node: Node) => string): ReadTransition {
  const artifact = textOf(condition)
  if (artifact === undefined)
    return shape(
      `condition is computed: '${text(condition)}'`,
      `name the artifact: set this.mode = ${text(condition)}, then { condition: 'mode' }`,
    )
  const read =
    cases.type === 'ObjectExpression'
      ? readOptions(cases as ObjectExpression, text)
      : `the cases of this.next(…) are computed: '${text(cases)}'`
  if (typeof read === 'string' || read.size === 0)
    return shape(
      typeof read === 'string' ? read : 'this.next({}, …) has no case',
      `write this.next({ x: this.a, y: this.b }, { condition: '${artifact}' })`,
    )
  const targets: Record<string, string> = {}
  for (const [key, value] of read) {
    const target = memberOfThis(value)
    if (target === undefined)
      return shape(
        `case '${key}' is '${text(value)}', which is no step written as this.name`,
        `write ${key}: this.name`,
      )
    targets[key] = target
  }
  return { transition: { kind: 'switch', cases: targets, condition: artifact } }
}

/** The properties of an object literal by name, or what is computed in it. */
function readOptions(literal: ObjectExpression, text: (node: Node) => string): Map<string, Node> | string {
  const found = new Map<string, Node>()
  for (const one of literal.properties) {
    const key = one.type === 'Property' ? keyOf(one) : undefined
    if (key === undefined) return `the options of this.next(…) are computed: '${text(one)}'`
    found.set(key, (one as Property).value)
  }
  return found
}

function keyOf({ key, computed }: Property): string | undefined {
  if (key.type === 'Literal') return String(key.value)
  return !computed && key.type === 'Identifier' ? key.name : undefined
}

function textOf(node: Node): string | undefined {
  const value = literalOf(node)
  return typeof value === 'string' ? value : undefined
}

/** The value of a literal, of `-1`, of `!0` (as minifiers write true) and of a template without holes. */
function literalOf(node: Node): unknown {
  const any = node as unknown as {
    value?: unknown
    operator?: string
    argument?: Node
    quasis?: { value: { cooked?: string } }[]
    expressions?: Node[]
  }
  if (node.type === 'Literal') return any.value
  if (node.type === 'TemplateLiteral' && any.expressions?.length === 0) return any.quasis?.[0]?.value.cooked
  if (node.type !== 'UnaryExpression') return undefined
  const inner = literalOf(any.argument!)
  if (any.operator === '-' && typeof inner === 'number') return -inner
  return any.operator === '!' && inner !== undefined ? !inner : undefined
}

function shape(what: string, fix: string): ReadTransition {
  return { code: 'E_NEXT_SHAPE', what, fix }
}
