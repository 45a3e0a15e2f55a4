import { readFile } from 'node:fs/promises'
import { isBuiltin } from 'node:module'
import { dirname, extname } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { ImportKind, Loader, Plugin, PluginBuild } from 'esbuild'
import { declarations, placeNames as names, type Resolved } from './place-declarations.js'

const namespace = 'gangflow-place'

/**
 * In every file of the project's own, `import.meta`, `__dirname`, `__filename` and `require.resolve` mean the
 * file's own place and not the bundle's. The declarations come from a virtual module that is the file's first import, so that they hold
 * before any code of an import cycle runs; in a file without module syntax they stand in front.
 */
export function sourcePlace(originals: Map<string, string>): Plugin {
  return {
    name: 'gangflow-source-place',
    setup(build) {
      build.onLoad({ filter: /\.[cm]?[jt]sx?$/, namespace: 'file' }, async ({ path }) => {
        const text = await readFile(path, 'utf8')
        originals.set(path, text)
        return { contents: await placed(build, path, text), loader: loaderOf(path) }
      })
      build.onResolve({ filter: /^gangflow-place:/ }, ({ path }) => ({
        path: path.slice(namespace.length + 1),
        namespace,
      }))
      build.onLoad({ filter: /.*/, namespace }, async ({ path }) => ({
        contents: declarations(path, await resolvedIn(build, path, originals.get(path) ?? ''), 'export '),
        loader: 'js',
      }))
    },
  }
}

async function placed(build: PluginBuild, path: string, text: string): Promise<string> {
  const dynamic = /((?:\bawait|\breturn|=>|=|\()\s*)import(\s*\(\s*(?:\/\*[\s\S]*?\*\/\s*)?[\w$])/g
  const changed = text.replace(dynamic, `$1${names.load}$2`)
  const needs = [
    ['meta', /\bimport\.meta\b/.test(text)],
    ['dirname', /\b__dirname\b/.test(text)],
    ['filename', /\b__filename\b/.test(text)],
    ['load', changed !== text],
    ['find', /\brequire\.resolve\b/.test(text)],
  ] as const
  const needed = needs.filter(([, used]) => used).map(([name]) => names[name])
  if (needed.length === 0) return text
  const front = hasModuleSyntax(path, text)
    ? `import { ${needed.join(', ')} } from ${JSON.stringify(`${namespace}:${path}`)}; `
    : declarations(path, await resolvedIn(build, path, text), '').replaceAll('\n', ' ')
  return text.startsWith('#!') ? changed.replace('\n', `\n${front}`) : `${front}${changed}`
}

/** What `import.meta.resolve('literal')` and `require.resolve('literal')` in a file will say. */
async function resolvedIn(build: PluginBuild, path: string, text: string): Promise<Resolved> {
  const answers = async (word: RegExp, kind: ImportKind) => {
    const specifiers = [...text.matchAll(word)].flatMap(([, , specifier]) => specifier ?? [])
    const resolved: Record<string, string> = {}
    for (const specifier of new Set(specifiers)) {
      if (isBuiltin(specifier) || /^[a-z]+:/.test(specifier)) continue
      const found = await build.resolve(specifier, { kind, importer: path, resolveDir: dirname(path) })
      // What leads nowhere is said by Node when the call is made: it may never be.
      if (found.errors.length === 0) resolved[specifier] = found.path
    }
    return resolved
  }
  const imports = await answers(/\bimport\.meta\.resolve\(\s*(['"`])([^'"`$\\]+)\1/g, 'dynamic-import')
  for (const [name, found] of Object.entries(imports)) {
    if (/^\.{0,2}\//.test(name)) delete imports[name]
    else if (found.startsWith('/')) imports[name] = pathToFileURL(found).href
  }
  return { imports, requires: await answers(/\brequire\.resolve\(\s*(['"`])([^'"`$\\]+)\1/g, 'require-resolve') }
}

/** Whether a file is written as a module; `export =` is TypeScript's CommonJS. */
function hasModuleSyntax(path: string, text: string): boolean {
  if (extname(path) === '.cjs' || /^\s*export\s*=/m.test(text)) return false
  return /^\s*(?:import\b(?!\s*[(.])|export\b)/m.test(text)
}

function loaderOf(path: string): Loader {
  const extension = extname(path).replace(/^\.[cm]?/, '')
  return extension as Loader
}
