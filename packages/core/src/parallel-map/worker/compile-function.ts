import { constants, Script } from 'node:vm'
import type { FunctionNode } from '../protocol.js'

export interface Compiled {
  /** Gives the free names their values. */
  readonly bind: (values: readonly unknown[]) => void
  readonly make: () => unknown
}

type Around = (this: unknown, ...fixed: readonly unknown[]) => Compiled

/**
 * By text and place. V8 keeps what it learnt of a function, and the fast code for it, with the one that it was made in:
 * a map of the same function goes on where the one before it ended. What was captured is not kept.
 */
const known = new Map<string, Around>()
/** More would be a sign of texts that are data. */
const mostKnown = 200

/** What is known of a function's free names before it is made. */
export interface Fixed {
  /** Values by the names' positions. V8 counts on them: a loop over a typed array is twice as fast as with a variable. */
  readonly values: ReadonlyMap<number, unknown>
  /** It counts on them in the first function made from a text alone, so such a text is compiled for each map anew. */
  readonly alone: boolean
}

/** Compiles a function's text; its other free names are bound when all that they lead to is made. */
export function compileFunction(node: FunctionNode, self: object | undefined, fixed: Fixed): Compiled {
  const names = node.names.map(([name]) => name)
  const { source, file, line, column, strict } = node
  const positions = [...fixed.values.keys()]
  const key = JSON.stringify([file, line, column, strict, names, positions, source])
  let around = fixed.alone ? undefined : known.get(key)
  if (around === undefined) {
    around = compile(node, names, fixed)
    if (known.size >= mostKnown) known.clear()
    if (!fixed.alone) known.set(key, around)
  }
  return around.call(self, ...fixed.values.values())
}

/**
 * The lines and columns of the text are those of the person's file. Its free names are the parameters and the variables of
 * a function around it.
 */
function compile(node: FunctionNode, names: readonly string[], fixed: Fixed): Around {
  const later = names.flatMap((name, index) => (fixed.values.has(index) ? [] : [{ name, value: `$$values[${index}]` }]))
  const before = [
    `(function (${[...fixed.values.keys()].map((index) => names[index]).join(', ')}) { ${node.strict ? "'use strict'; " : ''}`,
    later.length > 0 ? `let ${later.map(({ name }) => name).join(', ')}; ` : '',
    'return { bind($$values) { ',
    later.map(({ name, value }) => `${name} = ${value}`).join('; '),
    ' }, make: () => (',
  ].join('')
  if (/\bimport\s*\(/.test(node.source)) keepQuiet()
  const script = new Script(`${before}${node.source}\n) } })`, {
    filename: node.file ?? 'gangflow:function',
    lineOffset: node.line,
    columnOffset: node.column - before.length,
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  })
  return script.runInThisContext() as Around
}

let isQuiet = false

/** What lets a function import is to Node an experiment, and it would say so to the person in each worker. */
function keepQuiet(): void {
  if (isQuiet) return
  isQuiet = true
  const { emitWarning } = process
  process.emitWarning = ((warning: string | Error, ...rest: never[]) => {
    if (!String(warning).includes('USE_MAIN_CONTEXT_DEFAULT_LOADER')) emitWarning.call(process, warning, ...rest)
  }) as typeof emitWarning
}
