import type { Node as AcornNode, Expression, Program as Tree } from 'acorn'
import type { Finding } from './free-names.js'
import { Scopes } from './scopes.js'

type Parser = typeof import('acorn')

/** What a function's text needs from outside of itself, and what it does that no worker could honour. */
export interface Analysis {
  /** An expression that gives the function; `lead` signs of it come before the function's own text. */
  readonly source: string
  readonly lead: number
  /** Columns and lines from the start of the text to where V8 says that the function is. */
  readonly at: { readonly line: number; readonly column: number }
  readonly strict: boolean
  readonly isClass: boolean
  readonly isArrow: boolean
  /** A class that extends one: the text has `parentName` for it. */
  readonly hasParent: boolean
  readonly finding: Finding
}

/** Reads a function's own text. Throws a SyntaxError where it is none (native code). */
export function analyse(text: string, acorn: Parser): Analysis {
  const { tree, strict, source, shift } = parse(text, acorn)
  const fn = functionOf(tree)
  const isClass = fn.type === 'ClassExpression'
  const isArrow = fn.type === 'ArrowFunctionExpression'
  const finding = new Scopes(fn as unknown as AcornNode, text, shift).read()
  const start = isClass || isArrow ? shift : text.indexOf('(', headEnd(fn, shift)) + shift
  const parent = isClass ? (fn.superClass as AcornNode | null | undefined) : undefined
  const lead = source === text ? 0 : source.indexOf('({') + 2
  return {
    source: parent ? withParent(source, parent, shift) : source,
    lead,
    hasParent: parent != null,
    at: placeIn(text, start - shift),
    strict,
    isClass,
    isArrow,
    finding,
  }
}

/** What stands for a class' parent in its text. */
export const parentName = '$$parent'

/** Keeps the columns of what follows where the name is the shorter text. */
function withParent(text: string, parent: AcornNode, shift: number): string {
  const [start, end] = [parent.start - shift, parent.end - shift]
  return text.slice(0, start) + parentName.padEnd(end - start) + text.slice(end)
}

type FunctionExpression = Extract<
  Expression,
  { type: 'FunctionExpression' | 'ArrowFunctionExpression' | 'ClassExpression' }
>

/** As an expression; else as a method, whose text alone is none. Strict where that is possible, as modules are. */
function parse(text: string, acorn: Parser): { tree: Tree; strict: boolean; source: string; shift: number } {
  const forms = [
    { before: '(', source: text, after: ')', shift: 0 },
    { before: '({', source: text, after: '})', shift: 0 },
  ]
  let failure: unknown
  for (const strict of [true, false]) {
    for (const [index, { before, after }] of forms.entries()) {
      const code = before + text + after
      try {
        const tree = acorn.parse(code, {
          ecmaVersion: 'latest',
          sourceType: strict ? 'module' : 'script',
          // A class' private names and a method's super are looked at by hand.
          allowSuperOutsideMethod: true,
          checkPrivateFields: false,
        })
        const offset = before.length
        const source = index === 0 ? text : methodSource(text, tree, offset)
        return { tree, strict, source, shift: offset }
      } catch (error) {
        failure ??= error
      }
    }
  }
  throw failure
}

/** `async *[name](x) { … }` as an expression; getters and setters too. The name is replaced where it is computed. */
function methodSource(text: string, tree: Tree, offset: number): string {
  const property = propertyOf(tree)!
  const computed = property.computed
  const key = property.key as AcornNode
  const start = (computed ? text.lastIndexOf('[', key.start - offset) : key.start - offset) as number
  const end = computed ? text.indexOf(']', key.end - offset) + 1 : key.end - offset
  const named = `${text.slice(0, start)}$$m${text.slice(end)}`
  const kind = property.kind
  return kind === 'init'
    ? `({${named}}).$$m`
    : `Object.getOwnPropertyDescriptor({${named}}, '$$m').${kind === 'get' ? 'get' : 'set'}`
}

function propertyOf(
  tree: Tree,
): { computed: boolean; key: unknown; kind: string; value: FunctionExpression } | undefined {
  const statement = tree.body.at(-1)
  if (statement?.type !== 'ExpressionStatement' || statement.expression.type !== 'ObjectExpression') return undefined
  return statement.expression.properties[0] as never
}

function functionOf(tree: Tree): FunctionExpression {
  const property = propertyOf(tree)
  if (property) return property.value
  const statement = tree.body.at(-1)
  const expression = statement?.type === 'ExpressionStatement' ? statement.expression : undefined
  if (
    expression?.type !== 'FunctionExpression' &&
    expression?.type !== 'ArrowFunctionExpression' &&
    expression?.type !== 'ClassExpression'
  )
    throw new SyntaxError('the text of the function is no function')
  return expression
}

function headEnd(fn: FunctionExpression, shift: number): number {
  const id = 'id' in fn && fn.id ? (fn.id as AcornNode).end - shift : undefined
  return id ?? Math.max(0, (fn as unknown as AcornNode).start - shift)
}

function placeIn(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset)
  const line = before.split('\n').length - 1
  return { line, column: line === 0 ? offset : offset - before.lastIndexOf('\n') - 1 }
}
