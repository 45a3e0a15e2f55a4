import { constants, Script } from 'node:vm'
import type { FunctionNode } from '../protocol.js'

export interface Compiled {
  /** Gives the free names their values. */
  readonly bind: (values: readonly unknown[]) => void
  readonly make: () => unknown
}

type Around = (this: unknown) => Compiled

/**
 * By text and place. V8 keeps what it learnt of a function, and the fast code for it, with the one that it was made in:
 * a map of the same function goes on where the one before it ended. What was captured is not kept.
 */
const known = new Map<string, Around>()
/** More would be a sign of texts that are data. */
const mostKnown = 200

/** Compiles a function's text; its free names are bound when all that they lead to is made. */
export function compileFunction(node: FunctionNode, self: object | undefined): Compiled {
  const names = node.names.map(([name]) => name)
  const { source, file, line, column, strict } = node
  const key = JSON.stringify([file, line, column, strict, names, source])
  let around = known.get(key)
  if (around === undefined) {
    around = compile(node, names)
    if (known.size >= mostKnown) known.clear()
    known.set(key, around)
  }
  return around.call(self)
}

/**
 * The lines and columns of the text are those of the person's file. Its free names are the variables of a function
 * around it.
 */
function compile(node: FunctionNode, names: readonly string[]): Around {
  const values = names.map((_, index) => `$$values[${index}]`)
  const before = [
    `(function () { ${node.strict ? "'use strict'; " : ''}`,
    names.length > 0 ? `let ${names.join(', ')}; ` : '',
    'return { bind($$values) { ',
    names.map((name, index) => `${name} = ${values[index]}`).join('; '),
    ' }, make: () => (',
  ].join('')
  const script = new Script(`${before}${node.source}\n) } })`, {
    filename: node.file ?? 'gangflow:function',
    lineOffset: node.line,
    columnOffset: node.column - before.length,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  })
  return script.runInThisContext() as Around
}
