import {
  type Expression,
  type FunctionExpression,
  type MethodDefinition,
  type Node,
  type Program,
  parse,
  type TryStatement,
} from 'acorn'

/** A call of `this.next(…)` as it stands in a step's source. */
export interface NextCall {
  /** Characters into the method's text. */
  readonly offset: number
  readonly args: readonly Node[]
  /** What stands around it so that it may not run exactly once: `an if`, `a loop`, `a callback`. */
  readonly under?: string
  /** The test of the innermost `if` around it, as written. */
  readonly test?: string
}

/** What a method's source says. */
export interface ParsedMethod {
  readonly parameters: number
  readonly generator: boolean
  readonly calls: readonly NextCall[]
  /** `this.next` that is not simply called: passed on, taken apart, or an alias of `this` made. */
  readonly aliases: readonly number[]
  /** A `return` of the method itself before its `this.next(…)`. */
  readonly earlyReturn?: number
  /** Names of the methods that it calls on `this`. */
  readonly calledMethods: readonly string[]
  /** Names of the methods that it calls on `super`, with where. */
  readonly superCalls: ReadonlyMap<string, number>
  /** The text of a node of `args`. */
  text(node: Node): string
}

const before = '(class extends Object {'

/** Parses the text of a method; undefined when it is no method of that name: something replaced it. */
export function parseMethod(source: string, name: string): ParsedMethod | undefined {
  let program: Program
  const whole = `${before}${source}\n})`
  try {
    program = parse(whole, { ecmaVersion: 'latest', sourceType: 'module', checkPrivateFields: false })
  } catch {
    return undefined
  }
  const statement = program.body[0]
  const element =
    statement?.type === 'ExpressionStatement' && statement.expression.type === 'ClassExpression'
      ? statement.expression.body.body[0]
      : undefined
  if (element?.type !== 'MethodDefinition' || element.kind !== 'method' || !isNamed(element, name)) return undefined
  return read(element.value, (node) => whole.slice(node.start, node.end))
}

function isNamed({ key, computed }: MethodDefinition, name: string): boolean {
  if (key.type === 'Literal') return String(key.value) === name
  // `[name]() {}`: which one cannot be told from the text, so it is taken for the one asked for.
  return computed || (key.type === 'Identifier' && key.name === name)
}

interface Around {
  readonly under?: string | undefined
  readonly test?: string | undefined
  /** In a function of its own, whose `return` is not the method's. */
  readonly inner: boolean
  /** In a function with a `this` of its own. */
  readonly otherThis: boolean
}

const words: Readonly<Record<string, string>> = {
  IfStatement: 'an if',
  ConditionalExpression: 'a condition (? :)',
  LogicalExpression: 'a condition (&&, || or ??)',
  SwitchStatement: 'a switch',
  TryStatement: 'a try',
  ForStatement: 'a loop',
  ForInStatement: 'a loop',
  ForOfStatement: 'a loop',
  WhileStatement: 'a loop',
  DoWhileStatement: 'a loop',
  ArrowFunctionExpression: 'a callback',
  FunctionExpression: 'a callback',
  FunctionDeclaration: 'a function of its own',
}

function read(method: FunctionExpression, text: (node: Node) => string): ParsedMethod {
  const calls: NextCall[] = []
  const aliases: number[] = []
  const methods = new Set<string>()
  const superCalls = new Map<string, number>()
  const returns: number[] = []

  const visit = (node: Node, around: Around): void => {
    const inner = inside(node, around, text)
    const call =
      node.type === 'CallExpression' ? (node as unknown as { callee: Expression; arguments: Node[] }) : undefined
    const called = call && memberOfThis(call.callee)
    if (called === 'next' && !around.otherThis) {
      calls.push({
        offset: node.start - before.length,
        args: call!.arguments,
        ...(around.under !== undefined && { under: around.under }),
        ...(around.test !== undefined && { test: around.test }),
      })
      for (const arg of call!.arguments) visit(arg, inner)
      return
    }
    if (called !== undefined) methods.add(called)
    const inherited = call && memberOf(call.callee, 'Super')
    if (inherited !== undefined) superCalls.set(inherited, node.start - before.length)
    if (node.type === 'ReturnStatement' && !around.inner) returns.push(node.start - before.length)
    if (memberOfThis(node) === 'next' && !around.otherThis) aliases.push(node.start - before.length)
    for (const child of children(node)) visit(child, inner)
  }
  const outermost: Around = { inner: false, otherThis: false }
  for (const child of children(method.body)) visit(child, outermost)

  const first = calls[0]?.offset
  // `return this.next(…)` begins before the call that it returns.
  const early =
    first === undefined
      ? undefined
      : returns.find((at) => at < first && !(calls.length > 0 && isReturnOf(text, method, at, first)))
  return {
    parameters: method.params.length,
    generator: method.generator,
    calls,
    aliases,
    ...(early !== undefined && { earlyReturn: early }),
    calledMethods: [...methods],
    superCalls,
    text,
  }
}

function isReturnOf(text: (node: Node) => string, method: FunctionExpression, at: number, call: number): boolean {
  const between = text({ ...method, start: at + before.length, end: call + before.length })
  return /^return\s*(?:\(|await|void|\s)*$/.test(between)
}

/** A try without a catch, or what compilers make of `using`, runs through or throws. */
function runsThrough({ handler, finalizer }: TryStatement, text: (node: Node) => string): boolean {
  return !handler || (!!finalizer && /__callDispose|__disposeResources/.test(text(finalizer)))
}

function inside(node: Node, around: Around, text: (node: Node) => string): Around {
  const word = words[node.type]
  if (word === undefined || (node.type === 'TryStatement' && runsThrough(node as TryStatement, text))) return around
  const isFunction = node.type.includes('Function')
  return {
    under: around.under ?? word,
    test: node.type === 'IfStatement' ? text((node as unknown as { test: Node }).test) : around.test,
    inner: around.inner || isFunction,
    otherThis: around.otherThis || (isFunction && node.type !== 'ArrowFunctionExpression'),
  }
}

/** `name` of `this.name` or `this['name']`. */
export function memberOfThis(node: Node): string | undefined {
  return memberOf(node, 'ThisExpression')
}

function memberOf(node: Node, owner: 'ThisExpression' | 'Super'): string | undefined {
  const plain = node.type === 'ChainExpression' ? (node as unknown as { expression: Node }).expression : node
  if (plain.type !== 'MemberExpression') return undefined
  const { object, property, computed } = plain as unknown as {
    object: Node
    property: Node & { name?: string; value?: unknown }
    computed: boolean
  }
  if (object.type !== owner) return undefined
  if (!computed) return property.type === 'PrivateIdentifier' ? undefined : property.name
  return property.type === 'Literal' && typeof property.value === 'string' ? property.value : undefined
}

function* children(node: Node): Iterable<Node> {
  for (const value of Object.values(node)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (typeof one === 'object' && one !== null && typeof (one as Node).type === 'string') yield one as Node
    }
  }
}
