import { dirname } from 'node:path'
import { pathToFileURL } from 'node:url'

/** What stands in a file for words that say where it is. */
export const placeNames = {
  meta: '__gf_meta',
  dirname: '__gf_dirname',
  filename: '__gf_filename',
  load: '__gf_import',
  find: '__gf_require_resolve',
} as const

/** esbuild's `define`: each word becomes a name that `sourcePlace` declares in every file which uses it. */
export const placeDefines = {
  'import.meta': placeNames.meta,
  __dirname: placeNames.dirname,
  __filename: placeNames.filename,
  'require.resolve': placeNames.find,
}

/** Literal arguments that were answered at compile time. */
export interface Resolved {
  /** Of `import.meta.resolve`: URLs. */
  readonly imports: Readonly<Record<string, string>>
  /** Of `require.resolve`: paths. */
  readonly requires: Readonly<Record<string, string>>
}

/** Once in front of the bundle: a `require` for CommonJS code, and what the declarations are made of. */
export function placeBanner(flow: string): string {
  return `import { createRequire as __gf_createRequire, isBuiltin as __gf_isBuiltin } from 'node:module'
import { pathToFileURL as __gf_pathToFileURL } from 'node:url'
const require = __gf_createRequire(${JSON.stringify(pathToFileURL(flow).href)})
const __gf_finder = (url, known) => (name, options) =>
  Object.hasOwn(known, name) && !options ? known[name] : __gf_createRequire(url).resolve(name, options)
const __gf_resolver = (url, known) => (name) => {
  if (Object.hasOwn(known, name)) return known[name]
  if (/^(\\.{0,2}\\/|[a-z][a-z+.-]+:)/.test(name)) return new URL(name, url).href
  return __gf_isBuiltin(name) ? 'node:' + name : __gf_pathToFileURL(__gf_createRequire(url).resolve(name)).href
}`
}

/** The declarations for one file; `front` is `export ` in the virtual module. */
export function declarations(path: string, { imports, requires }: Resolved, front: '' | 'export '): string {
  const url = JSON.stringify(pathToFileURL(path).href)
  const [filename, folder] = [JSON.stringify(path), JSON.stringify(dirname(path))]
  const resolve = `__gf_resolver(${url}, ${JSON.stringify(imports)})`
  const { meta, load, find, dirname: directory, filename: file } = placeNames
  return [
    `${front}const ${meta} = { url: ${url}, filename: ${filename}, dirname: ${folder}, resolve: ${resolve} };`,
    `${front}const ${directory} = ${folder};`,
    `${front}const ${file} = ${filename};`,
    `${front}const ${load} = (name, options) => import(${resolve}(String(name)), options);`,
    `${front}const ${find} = __gf_finder(${url}, ${JSON.stringify(requires)});`,
    '',
  ].join('\n')
}
