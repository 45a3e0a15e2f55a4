import { lstatSync, readlinkSync } from 'node:fs'
import { dirname, join, resolve, sep } from 'node:path'

/**
 * The symbolic links on the way to paths: a copy has them too, so that every path in it leads where it leads here
 * (npm's workspaces, pnpm's whole layout).
 */
export class Links {
  /** Where each link leads, by its own path; both absolute, its parent is real. */
  readonly found = new Map<string, string>()
  readonly #real = new Map<string, string>()

  /** The real path; notes each link that was passed. Throws as `lstat` does. */
  follow(path: string, hops = 40): string {
    const known = this.#real.get(path)
    if (known !== undefined) return known
    const parent = dirname(path)
    if (parent === path) return path
    const at = join(this.follow(parent, hops), path.slice(parent.endsWith(sep) ? parent.length : parent.length + 1))
    let real = at
    if (lstatSync(at).isSymbolicLink()) {
      if (hops === 0) throw Object.assign(new Error(`too many links: ${at}`), { code: 'ELOOP' })
      const target = resolve(dirname(at), readlinkSync(at))
      this.found.set(at, target)
      real = this.follow(target, hops - 1)
    }
    this.#real.set(path, real)
    return real
  }
}
