import { constants, Script } from 'node:vm'
import type { FunctionNode } from '../protocol.js'

export interface Compiled {
  /** Gives the free names their values. */
  readonly bind: (values: readonly unknown[]) => void
  readonly make: () => unknown
}

/**
 * Compiles a function's text so that its lines and columns are those of the person's file. Its free names are the
 * variables of a function around it, bound when all that they lead to is made.
 */
export function compileFunction(node: FunctionNode, self: object | undefined): Compiled {
  const names = node.names.map(([name]) => name)
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
  return (script.runInThisContext() as (this: unknown) => Compiled).call(self)
}
