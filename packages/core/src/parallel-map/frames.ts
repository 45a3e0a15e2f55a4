import { findSourceMap } from 'node:module'

const foreign = /\[worker eval\]|\[eval\]|\bnode:|evalmachine/
const placed = /((?:file:\/\/|\/)[^()\s]+?):(\d+):(\d+)(?=\)?$)/

/** A worker's stack without its own frames, each at the place of the source where this process knows that. */
export function ownFrames(stack: string): string {
  return stack
    .split('\n')
    .filter((line) => !(/^\s+at /.test(line) && foreign.test(line)))
    .map((line) => (/^\s+at /.test(line) ? mapped(line) : line))
    .join('\n')
}

function mapped(line: string): string {
  const place = placed.exec(line)
  if (!place) return line
  const [, file, row, column] = place as unknown as [string, string, string, string]
  return byHook(line, file, Number(row), Number(column)) ?? byMap(line, file, Number(row), Number(column))
}

/** Whatever shows this process's own stacks in the person's source (a loader, a test runner, a flow's body). */
function byHook(line: string, file: string, row: number, column: number): string | undefined {
  const hook = Error.prepareStackTrace
  if (typeof hook !== 'function') return undefined
  const text = line.trim().replace(/^at /, '')
  try {
    const lines = String(hook(new Error(), [siteOf(text, file, row, column)])).split('\n')
    const at = lines.find((one) => /^\s+at /.test(one))
    // One that gives the very same has no map of this file.
    return at?.trim() === line.trim() ? undefined : at
  } catch {
    return undefined
  }
}

/** What V8 would give for the frame. */
function siteOf(text: string, file: string, row: number, column: number): NodeJS.CallSite {
  const name = /^(?:async )?(.*) \(/.exec(text)?.[1] ?? null
  const answers: Record<string, () => unknown> = {
    getThis: () => undefined,
    getTypeName: () => null,
    getFunction: () => undefined,
    getFunctionName: () => name,
    getMethodName: () => null,
    getFileName: () => file,
    getScriptNameOrSourceURL: () => file,
    getScriptHash: () => '',
    getLineNumber: () => row,
    getColumnNumber: () => column,
    getEnclosingLineNumber: () => row,
    getEnclosingColumnNumber: () => column,
    getPosition: () => 0,
    getPromiseIndex: () => null,
    getEvalOrigin: () => undefined,
    isNative: () => false,
    isToplevel: () => true,
    isEval: () => false,
    isConstructor: () => false,
    isAsync: () => text.startsWith('async '),
    isPromiseAll: () => false,
    toString: () => text,
  }
  // Hooks (source-map-support, ts-node) copy what a call site's prototype has.
  return Object.create(answers) as NodeJS.CallSite
}

/** Under `--enable-source-maps`. */
function byMap(line: string, file: string, row: number, column: number): string {
  try {
    const entry = findSourceMap(file)?.findEntry(row - 1, column - 1)
    if (!entry || !('originalSource' in entry) || !entry.originalSource) return line
    return line.replace(placed, `${entry.originalSource}:${entry.originalLine + 1}:${entry.originalColumn + 1}`)
  } catch {
    return line
  }
}
