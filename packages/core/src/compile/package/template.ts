import { pathToFileURL } from 'node:url'
import type { Node } from 'acorn'
import type { Template } from './manifest.js'

/** The place in a copy of an absolute path of this machine; undefined for what is no file or source folder of it. */
export type PlaceOf = (path: string) => string | undefined

/**
 * Where a bundle names the project's files and its packages: the pinned imports, and what stands for `import.meta` and
 * its like. Found as whole string literals, by value, so that only what the compiler wrote (or the same by a person) counts.
 */
export async function slotsOf(
  code: string,
  sourceType: 'module' | 'script',
  placeOf: PlaceOf,
): Promise<Template['slots']> {
  const { parse } = await import('acorn')
  const slots: [number, number, 'path' | 'url', string][] = []
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
    const place = path === undefined ? undefined : placeOf(path)
    if (place !== undefined) slots.push([start, end, form, place])
  }
  visit(parse(code, { ecmaVersion: 'latest', sourceType }))
  return slots.sort(([a], [b]) => a - b)
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
