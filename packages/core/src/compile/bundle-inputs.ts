import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, isAbsolute, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { resolutionConditions } from './conditions.js'
import type { Pin } from './pin-imports.js'

/** What a bundle was made of. */
export interface BundleInputs {
  /** The flow's file. */
  readonly flow: string
  readonly execArgv: readonly string[]
  /** Every file whose content is in the bundle. */
  readonly files: readonly string[]
  readonly pins: readonly Pin[]
}

/** What the compiler found at a time. */
export interface Look {
  /** Equal when the compiler would find the same again. */
  readonly key: string
  /** When any of it changed last, in milliseconds since 1970. */
  readonly changedAt: number
}

const settings = ['package.json', 'tsconfig.json', 'jsconfig.json']
const installed = ['.package-lock.json', '.modules.yaml', '.yarn-state.yml']
const plugAndPlay = ['.pnp.cjs', '.pnp.js', '.pnp.data.json']
/** Settings by which a compiler looks for files at places that nobody else names. */
const elsewhere = /"(?:paths|baseUrl|rootDirs)"/
/** What a compiler answers by looking, without taking the file's content. */
const asking = /\b(?:require|import\.meta)\s*\.\s*resolve\b|\b(?:import|require)\s*\(\s*(?:`|(?:'[^']*'|"[^"]*")\s*\+)/

/**
 * Looks at all that decides what a bundle is: the content of its files, the names beside them (a new file may come
 * before another), package.json and tsconfig.json from their folders up, what is installed there, the packages that
 * are imported, and the compiler. Undefined where it cannot tell: aliases, and imports that are sought while compiling.
 * @param compiled what the compiler read, by path; read again without.
 */
export function lookAtInputs(inputs: BundleInputs, compiled?: ReadonlyMap<string, string>): Look | undefined {
  const hash = createHash('sha256')
  let changedAt = 0
  const say = (...facts: readonly unknown[]) => hash.update(`${JSON.stringify(facts)}\n`)
  const stamp = (path: string) => {
    const found = statSync(path, { throwIfNoEntry: false })
    // Where times are whole seconds, it may have been at the end of that one.
    if (found) changedAt = Math.max(changedAt, found.ctimeMs + (found.ctimeMs % 1000 === 0 ? 1000 : 0))
    say(path, found?.size, found?.mtimeMs)
    return found
  }
  const text = (path: string) => {
    if (!stamp(path)?.isFile()) return undefined
    const content = readFileSync(path, 'utf8')
    say(content)
    return content
  }
  try {
    say(process.version, process.platform, process.arch, resolutionConditions(inputs.execArgv))
    say(process.env['NODE_PATH'], process.env['ESBUILD_BINARY_PATH'], inputs.flow, inputs.execArgv)
    stamp(fileURLToPath(import.meta.url))
    stamp(createRequire(import.meta.url).resolve('esbuild/package.json'))
    for (const file of inputs.files) {
      const content = compiled?.get(file) ?? readFileSync(file, 'utf8')
      if (!compiled?.has(file)) changedAt = Math.max(changedAt, statSync(file).ctimeMs)
      if (asking.test(content)) return undefined
      say(file, content)
    }
    for (const folder of above(inputs.files)) {
      for (const name of settings) {
        const content = text(join(folder, name))
        if (content !== undefined && name !== 'package.json' && !extended(content, join(folder, name), text))
          return undefined
      }
      for (const name of plugAndPlay) stamp(join(folder, name))
      sayInstalled(join(folder, 'node_modules'))
    }
    for (const folder of sought(inputs.files)) say(folder, namesIn(folder))
    for (const { specifier, importer, path } of inputs.pins) {
      say(specifier, importer)
      stamp(path)
    }
    for (const folder of above(inputs.pins.map(({ path }) => path))) text(join(folder, 'package.json'))
    return { key: hash.digest('hex'), changedAt }
  } catch {
    return undefined
  }

  function sayInstalled(modules: string): void {
    if (!stamp(modules)?.isDirectory()) return
    const names = readdirSync(modules).sort()
    say(names)
    for (const name of names) if (name.startsWith('@')) stamp(join(modules, name))
    for (const name of installed) stamp(join(modules, name))
  }
}

/** Reads what a tsconfig extends; false where what it says cannot be followed. */
function extended(content: string, path: string, read: (path: string) => string | undefined, depth = 0): boolean {
  if (elsewhere.test(content) || depth > 10) return false
  const said = /"extends"\s*:\s*(\[[^\]]*\]|"(?:[^"\\]|\\.)*")/.exec(content)?.[1]
  if (said === undefined) return !content.includes('"extends"')
  return [JSON.parse(said) as string | string[]].flat().every((name) => {
    const candidates =
      isAbsolute(name) || name.startsWith('.')
        ? [name, `${name}.json`, join(name, 'tsconfig.json')].map((one) => resolve(dirname(path), one))
        : [createRequire(path).resolve(name.endsWith('.json') ? name : `${name}/tsconfig.json`)]
    for (const candidate of candidates) {
      const base = read(candidate)
      if (base !== undefined) return extended(base, candidate, read, depth + 1)
    }
    return false
  })
}

/** The folders of the files, and all above them. */
function above(files: readonly string[]): string[] {
  const folders = new Set<string>()
  for (const file of files) for (let at = dirname(file); !folders.has(at); at = dirname(at)) folders.add(at)
  return [...folders].sort()
}

/** Folders in which a file of another name would be found before one of these: theirs, up to their package's. */
function sought(files: readonly string[]): string[] {
  const folders = new Set<string>()
  for (const file of files) {
    folders.add(dirname(file))
    if (/^index\./.test(basename(file))) folders.add(dirname(dirname(file)))
    const own = above([file]).filter((folder) => statSync(join(folder, 'package.json'), { throwIfNoEntry: false }))
    const root = own.at(-1)
    for (let at = dirname(file); root !== undefined && at.length >= root.length; at = dirname(at)) {
      folders.add(at)
      if (at === dirname(at)) break
    }
  }
  return [...folders].sort()
}

/** Names and where links lead; our own folder comes and goes. */
function namesIn(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => name !== '.gangflow')
    .map((entry) => (entry.isSymbolicLink() ? `${entry.name} ${readlinkSync(join(folder, entry.name))}` : entry.name))
    .sort()
}
