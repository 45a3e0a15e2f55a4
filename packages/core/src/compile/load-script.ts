import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { Script } from 'node:vm'
import { coreModule, headMark, type ScriptHead } from './script-form.js'

/** Name of a bundle's script beside it; empty when it has to be a module. */
export const scriptName = (bundle: string): string => `${bundle}.script`

/**
 * Runs a bundle's script with this core and gives its exports; undefined when there is none, or when it takes what
 * its modules have not: then it is to be loaded as a module, which words that error as people know it.
 */
export function loadScript(bundle: string, core: Record<string, unknown>): Record<string, unknown> | undefined {
  let text: string
  try {
    text = readFileSync(scriptName(bundle), 'utf8')
  } catch {
    return undefined
  }
  const mark = text.lastIndexOf(headMark)
  if (mark < 0) return undefined
  const { modules } = JSON.parse(text.slice(mark + headMark.length)) as ScriptHead
  const given = modules.map(({ name }) => (name === coreModule ? core : builtin(name)))
  if (modules.some(({ takes }, index) => takes.some((name) => !(name in given[index]!)))) return undefined
  // Under the module's own name, for stacks, source maps and debuggers.
  const script = new Script(text.slice(0, mark), { filename: pathToFileURL(bundle).href })
  return (script.runInThisContext() as (...modules: unknown[]) => Record<string, unknown>)(...given)
}

const builtin = (name: string): Record<string, unknown> =>
  process.getBuiltinModule(name as 'node:fs') as unknown as Record<string, unknown>
