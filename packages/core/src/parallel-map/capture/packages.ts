import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'

export interface ModulePlace {
  readonly file: string
  readonly commonJs: boolean
  readonly path: readonly string[]
}

/** Thrown where a module's exports have to be known first; whoever catches it loads it (it is loaded already) and asks again. */
export class ModuleWanted {
  constructor(readonly url: string) {}
}

/** What packages export, to find a captured value there: it then travels by its name. */
export class Packages {
  readonly #namespaces = new Map<string, object>()
  #commonJs: Map<unknown, ModulePlace> | undefined
  /** Exports objects of the project's own CommonJS modules. */
  readonly #own = new Set<unknown>()

  async learn(url: string): Promise<void> {
    try {
      this.#namespaces.set(url, (await import(url)) as object)
    } catch {
      this.#namespaces.set(url, {})
    }
  }

  /** The place of a CommonJS package's exports, or of one of them. */
  commonJsPlace(value: unknown): ModulePlace | undefined {
    this.#commonJs ??= this.#readCache()
    return this.#commonJs.get(value)
  }

  /** Whether this is what a module of the project itself exports. */
  isOwnExports(value: unknown): boolean {
    this.#commonJs ??= this.#readCache()
    return this.#own.has(value)
  }

  /** The place of a function of an ES module package. `url` is that of its script. */
  modulePlace(value: unknown, url: string): ModulePlace | undefined {
    if (!inPackage(url) || !/^file:/.test(url)) return undefined
    const namespace = this.#namespaces.get(url)
    if (namespace === undefined) throw new ModuleWanted(url)
    for (const [name, exported] of Object.entries(namespace))
      if (exported === value) return { file: url, commonJs: false, path: [name] }
    return undefined
  }

  #readCache(): Map<unknown, ModulePlace> {
    const places = new Map<unknown, ModulePlace>()
    const cache = createRequire(pathToFileURL(`${process.cwd()}/`)).cache
    for (const [file, module] of Object.entries(cache)) {
      const exports: unknown = module?.exports
      if ((typeof exports !== 'object' && typeof exports !== 'function') || exports === null) continue
      if (!inPackage(file) && !file.endsWith('.node')) {
        this.#own.add(exports)
        continue
      }
      if (!places.has(exports)) places.set(exports, { file, commonJs: true, path: [] })
      for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(exports))) {
        if ((typeof value === 'object' || typeof value === 'function') && value !== null && !places.has(value))
          places.set(value, { file, commonJs: true, path: [name] })
      }
    }
    return places
  }
}

/** Whether a file is a package's and not the project's. */
export function inPackage(file: string): boolean {
  return /[\\/]node_modules[\\/]/.test(file.startsWith('file:') ? fileURLToPath(file) : file)
}
