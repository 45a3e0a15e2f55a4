import { isBuiltin } from 'node:module'
import type { ImportDeclaration, Node } from 'acorn'

/** What a script's last line says: the modules that it is called with, and the names that it takes from each. */
export interface ScriptHead {
  /** Nothing in it could speak TLS in its own process. */
  readonly noTls: boolean
  readonly modules: readonly { readonly name: string; readonly takes: readonly string[] }[]
}

/** Begins the last line of a script. */
export const headMark = '\n//# gangflow '
/** Name under which a script asks for the flow's core. */
export const coreModule = '@gangflow/core'

/**
 * A bundle as a script, for bodies: Node starts its ES loader only for who imports, a sixth of a body's start. Lines
 * stay where they were, so that the bundle's map holds. Undefined for one that has to be a module: it imports
 * packages, waits at its top level, imports while it runs, or does what esbuild does not write.
 */
export async function scriptOf(code: string, coreEntry: string): Promise<string | undefined> {
  const { parse } = await import('acorn')
  let program: ReturnType<typeof parse>
  try {
    program = parse(code, { ecmaVersion: 'latest', sourceType: 'module' })
  } catch {
    return undefined
  }
  const modules: { name: string; takes: string[]; binds: string[] }[] = []
  const cuts: { start: number; end: number }[] = []
  const exported: string[] = []
  for (const statement of program.body) {
    switch (statement.type) {
      case 'ImportDeclaration': {
        const taken = takenBy(statement, coreEntry)
        if (!taken || new RegExp(`\\b(?:${taken.spaces.join('|') || '(?!)'})\\.default\\b`).test(code)) return undefined
        modules.push(taken)
        cuts.push(statement)
        break
      }
      case 'ExportNamedDeclaration':
        if (statement.source || statement.declaration) return undefined
        for (const { local, exported: as } of statement.specifiers) {
          if (local.type !== 'Identifier' || as.type !== 'Identifier') return undefined
          exported.push(`${as.name}: ${local.name}`)
        }
        cuts.push(statement)
        break
      case 'ExportDefaultDeclaration':
      case 'ExportAllDeclaration':
        return undefined
      default:
        if (needsModule(statement)) return undefined
    }
  }
  let text = code
  // From the back, so that what is in front keeps its place.
  for (const { start, end } of cuts.reverse())
    text = text.slice(0, start) + text.slice(start, end).replace(/[^\n]/g, ' ') + text.slice(end)
  const parameters = modules.map((_, index) => `__gf_module${index}`).join(', ')
  const bindings = modules.flatMap(({ binds }, index) => binds.map((bind) => `const ${bind} = __gf_module${index};`))
  const head: ScriptHead = {
    noTls: speaksNoTls(code, modules),
    modules: modules.map(({ name, takes }) => ({ name, takes })),
  }
  return `(function (${parameters}) {"use strict"; ${bindings.join(' ')} ${text}\nreturn { ${exported.join(', ')} };\n})${headMark}${JSON.stringify(head)}\n`
}

/** Modules of Node that neither speak TLS nor lead to one that does, as `module` and `worker_threads` would. */
const plain = new Set(
  'assert async_hooks buffer child_process console crypto dgram dns dns/promises events fs fs/promises net os path perf_hooks querystring readline stream stream/promises string_decoder timers timers/promises tty url util v8 zlib'.split(
    ' ',
  ),
)
/** What leads to TLS, or to anything, without an import. */
const reaching =
  /\b(?:fetch|WebSocket|EventSource|getBuiltinModule|binding|_linkedBinding|dlopen|mainModule|eval|Function\s*\(|global|globalThis|require)\b|\.constructor\s*\(/

/** Cautious: a mention of anything that might is enough to say no. */
function speaksNoTls(code: string, modules: readonly { name: string; binds: readonly string[] }[]): boolean {
  // What the compiler itself puts in front of every bundle is used only where the flow names it.
  const own = modules.filter(({ binds }) => !binds.every((bind) => bind.includes('__gf_')))
  const flow = code.replace(/^const require = .*$/m, '')
  return own.every(({ name }) => name === coreModule || plain.has(name.replace(/^node:/, ''))) && !reaching.test(flow)
}

function takenBy(statement: ImportDeclaration, coreEntry: string) {
  const source = String(statement.source.value)
  const name = source === coreEntry ? coreModule : isBuiltin(source) ? source : undefined
  if (name === undefined) return undefined
  const takes: string[] = []
  const binds: string[] = []
  const spaces: string[] = []
  for (const specifier of statement.specifiers) {
    const local = specifier.local.name
    if (specifier.type === 'ImportSpecifier') {
      if (specifier.imported.type !== 'Identifier' || specifier.imported.name === 'default') return undefined
      takes.push(specifier.imported.name)
      binds.push(`{ ${specifier.imported.name}: ${local} }`)
    } else {
      // Core has no default.
      if (specifier.type === 'ImportDefaultSpecifier' && name === coreModule) return undefined
      if (specifier.type === 'ImportNamespaceSpecifier') spaces.push(local)
      binds.push(local)
    }
  }
  return { name, takes, binds, spaces }
}

/** Waits at its top level, imports while it runs, or asks for its place. */
function needsModule(statement: Node): boolean {
  const visit = (node: unknown, inFunction: boolean): boolean => {
    if (Array.isArray(node)) return node.some((one) => visit(one, inFunction))
    if (typeof node !== 'object' || node === null || typeof (node as Node).type !== 'string') return false
    const { type } = node as Node
    if (type === 'ImportExpression' || (type === 'MetaProperty' && isImportMeta(node))) return true
    if (
      !inFunction &&
      (type === 'AwaitExpression' || (type === 'ForOfStatement' && (node as { await?: boolean }).await))
    )
      return true
    const inside = inFunction || /Function/.test(type)
    return Object.values(node).some((child) => visit(child, inside))
  }
  return visit(statement, false)
}

const isImportMeta = (node: unknown): boolean => (node as { meta: { name: string } }).meta.name === 'import'
