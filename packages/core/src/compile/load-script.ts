import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { Script } from 'node:vm'
import { coreModule, headMark, type ScriptHead } from './script-form.js'

/** Name of a bundle's script beside it; empty when it has to be a module. */
export const scriptName = (bundle: string): string => `${bundle}.script`

/** True for a bundle of which is known that nothing in it could speak TLS in its own process. */
export function speaksNoTls(bundle: string): boolean {
  return readScript(bundle)?.head.noTls ?? false
}

function readScript(bundle: string): { readonly text: string; readonly head: ScriptHead } | undefined {
  let text: string
  try {
    text = readFileSync(scriptName(bundle), 'utf8')
  } catch {
    return undefined
  }
  const mark = text.lastIndexOf(headMark)
  if (mark < 0) return undefined
  return { text: text.slice(0, mark), head: JSON.parse(text.slice(mark + headMark.length)) as ScriptHead }
}

/**
 * Runs a bundle's script with this core and gives its exports; undefined when there is none, or when it takes what
 * its modules have not: then it is to be loaded as a module, which words that error as people know it.
 */
export function loadScript(bundle: string, core: Record<string, unknown>): Record<string, unknown> | undefined {
  const script = readScript(bundle)
  if (!script) return undefined
  const { modules } = script.head
  const given = modules.map(({ name }) => (name === coreModule ? core : builtin(name)))
  if (modules.some(({ takes }, index) => takes.some((name) => !(name in given[index]!)))) return undefined
  // Under the module's own name, for stacks, source maps and debuggers.
  const compiled = new Script(script.text, { filename: pathToFileURL(bundle).href })
  return (compiled.runInThisContext() as (...modules: unknown[]) => Record<string, unknown>)(...given)
}

const builtin = (name: string): Record<string, unknown> =>
  process.getBuiltinModule(name as 'node:fs') as unknown as Record<string, unknown>
