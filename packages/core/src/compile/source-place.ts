import { readFile } from 'node:fs/promises'
import { dirname, extname } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Loader, Plugin, PluginBuild } from 'esbuild'

const namespace = 'gangflow-place'
const names = { meta: '__gf_meta', dirname: '__gf_dirname', filename: '__gf_filename', load: '__gf_import' } as const

/** esbuild's `define`: what says where a file is becomes a name that `sourcePlace` declares in each file. */
export const placeDefines = { 'import.meta': names.meta, __dirname: names.dirname, __filename: names.filename }

/**
 * In every file of the project's own, `import.meta`, `__dirname` and `__filename` mean the file's own place and
 * not the bundle's. The declarations come from a virtual module that is the file's first import, so that they hold
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
        contents: declarations(path, await resolvedSpecifiers(build, path, originals.get(path) ?? ''), 'export '),
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
  ] as const
  const needed = needs.filter(([, used]) => used).map(([name]) => names[name])
  if (needed.length === 0) return text
  const front = hasModuleSyntax(path, text)
    ? `import { ${needed.join(', ')} } from ${JSON.stringify(`${namespace}:${path}`)}; `
    : declarations(path, await resolvedSpecifiers(build, path, text), '').replaceAll('\n', ' ')
  return text.startsWith('#!') ? changed.replace('\n', `\n${front}`) : `${front}${changed}`
}

/** Once in front of the bundle: a `require` for CommonJS code, and what `import.meta.resolve` is made of. */
export function placeBanner(flow: string): string {
  return `import { createRequire as __gf_createRequire, isBuiltin as __gf_isBuiltin } from 'node:module'
import { pathToFileURL as __gf_pathToFileURL } from 'node:url'
const require = __gf_createRequire(${JSON.stringify(pathToFileURL(flow).href)})
const __gf_resolver = (url, known) => (name) => {
  if (Object.hasOwn(known, name)) return known[name]
  if (/^(\\.{0,2}\\/|[a-z][a-z+.-]+:)/.test(name)) return new URL(name, url).href
  return __gf_isBuiltin(name) ? 'node:' + name : __gf_pathToFileURL(__gf_createRequire(url).resolve(name)).href
}`
}

/** The declarations for one file; `front` is `export ` in the virtual module. */
function declarations(path: string, resolved: Readonly<Record<string, string>>, front: string): string {
  const url = JSON.stringify(pathToFileURL(path).href)
  const [filename, folder] = [JSON.stringify(path), JSON.stringify(dirname(path))]
  const resolve = `__gf_resolver(${url}, ${JSON.stringify(resolved)})`
  return [
    `${front}const ${names.meta} = { url: ${url}, filename: ${filename}, dirname: ${folder}, resolve: ${resolve} };`,
    `${front}const ${names.dirname} = ${folder};`,
    `${front}const ${names.filename} = ${filename};`,
    `${front}const ${names.load} = (name, options) => import(${resolve}(String(name)), options);`,
    '',
  ].join('\n')
}

/** `import.meta.resolve('literal')` answered at compile time, with the conditions of an import. */
async function resolvedSpecifiers(build: PluginBuild, path: string, text: string): Promise<Record<string, string>> {
  const resolved: Record<string, string> = {}
  for (const [, , specifier] of text.matchAll(/\bimport\.meta\.resolve\(\s*(['"`])([^'"`$\\]+)\1/g)) {
    if (specifier === undefined || /^(\.{0,2}\/|[a-z]+:)/.test(specifier)) continue
    const found = await build.resolve(specifier, { kind: 'dynamic-import', importer: path, resolveDir: dirname(path) })
    if (found.errors.length === 0) {
      resolved[specifier] = found.path.startsWith('/') ? pathToFileURL(found.path).href : found.path
    }
  }
  return resolved
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
