import { pathToFileURL } from 'node:url'
import type { Node } from 'acorn'
import type { Template } from './manifest.js'

/** The place in a copy of an absolute path of this machine; undefined for what is no file or source folder of it. */
export type PlaceOf = (path: string) => string | undefined

/** A literal that may name a file of this machine: where it stands, how it is written, and the path. */
export type PathLiteral = readonly [from: number, to: number, form: 'path' | 'url', path: string]

/**
 * Where a bundle names the project's files and its packages: the pinned imports, and what stands for `import.meta` and
 * its like. Found as whole string literals, by value, so that only what the compiler wrote (or the same by a person) counts.
 */
export const slotsOf = (literals: readonly PathLiteral[], placeOf: PlaceOf): Template['slots'] =>
  literals.flatMap(([from, to, form, path]) => {
    const place = placeOf(path)
    return place === undefined ? [] : [[from, to, form, place] as const]
  })

/** Every literal of a program that is an absolute path or the URL of one, in order. */
export async function pathLiterals(code: string, sourceType: 'module' | 'script'): Promise<PathLiteral[]> {
  const { parse } = await import('acorn')
  const found: PathLiteral[] = []
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) for (const one of node) visit(one)
    if (typeof node !== 'object' || node === null || typeof (node as Node).type !== 'string') return
    const { type, start, end, value } = node as Node & { value?: unknown }
    if (type !== 'Literal') {
      for (const child of Object.values(node)) if (typeof child === 'object') visit(child)
      return
    }
    if (typeof value !== 'string' || !/^(?:file:\/\/)?\//.test(value)) return
    const form = value.startsWith('file:') ? 'url' : 'path'
    const path = form === 'url' ? pathOf(value) : value
    if (path !== undefined) found.push([start, end, form, path])
  }
  visit(parse(code, { ecmaVersion: 'latest', sourceType }))
  return found.sort(([a], [b]) => a - b)
}

/** Only of a URL that the compiler would write: a person's may have a query. */
function pathOf(url: string): string | undefined {
  try {
    const path = decodeURIComponent(new URL(url).pathname)
    return pathToFileURL(path).href === url ? path : undefined
  } catch {
    return undefined
  }
}

/** The text with this host's paths. `root`: absolute path of the copy. */
export function fill(code: string, slots: Template['slots'], root: string): string {
  let text = ''
  let at = 0
  for (const [from, to, form, place] of slots) {
    const path = place === '' ? root : `${root}/${place}`
    text += code.slice(at, from) + JSON.stringify(form === 'url' ? pathToFileURL(path).href : path)
    at = to
  }
  return text + code.slice(at)
}
