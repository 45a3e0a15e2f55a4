import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The codes that docs/reference/errors.md lists, in the section of a plugin or on the whole page. */
export function listedCodes(plugin?: string): string[] {
  const page = readFileSync(new URL('../../docs/reference/errors.md', import.meta.url), 'utf8')
  const text = plugin === undefined ? page : page.split('\n## ').find((part) => part.startsWith(`${plugin}\n`))
  return [...(text ?? '').matchAll(/^\| `(E_[A-Z0-9_]+)`/gm)].map((match) => match[1]!).sort()
}

/** The codes that the sources of a package of this repository name where they make an error. */
export function givenCodes(name: string): string[] {
  const folder = new URL(`../../packages/${name}/src`, import.meta.url).pathname
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  const text = files.map((file) => readFileSync(join(folder, file), 'utf8')).join('\n')
  return [...new Set([...text.matchAll(/code: '(E_[A-Z0-9_]+)'/g)].map((match) => match[1]!))].sort()
}
