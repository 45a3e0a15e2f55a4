import { relative } from 'node:path'
import { GangflowError } from '../../errors/base.js'
import { bytesOf, type Part } from './parts.js'

/** Bytes. */
export const DEFAULT_LIMIT = 500e6

const powers: Readonly<Record<string, number>> = { '': 0, K: 1, M: 2, G: 3, T: 4 }

/** Bytes of `2GB`, `500 MiB`, `1.5g` or a number; throws E_OPTION. */
export function bytesFrom(limit: number | string): number {
  const [, digits, unit, binary] = /^\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?\s*$/i.exec(String(limit)) ?? []
  if (digits !== undefined) return Math.floor(Number(digits) * (binary ? 1024 : 1000) ** powers[unit!.toUpperCase()]!)
  throw new GangflowError({
    code: 'E_OPTION',
    what: `package.limit is ${JSON.stringify(limit)}, which is no size`,
    fix: "write bytes as a number, or text such as '800MB' or '2GB'",
  })
}

/** `12 MB`, for people. */
export function sizeText(bytes: number): string {
  const at = Math.min(4, Math.floor(Math.log10(Math.max(1, bytes)) / 3))
  const value = bytes / 1000 ** at
  return `${at === 0 || value >= 10 ? Math.round(value) : value.toFixed(1)} ${['bytes', 'kB', 'MB', 'GB', 'TB'][at]}`
}

/** What takes most, first: packages by their names, the project's by the entries of its folder. */
export function largest(parts: readonly Part[], count: number): { name: string; bytes: number }[] {
  const sums = new Map<string, number>()
  for (const part of parts) {
    if (part.kind !== 'project') sums.set(part.name, (sums.get(part.name) ?? 0) + bytesOf(part))
    else
      for (const { at, size } of part.files) {
        const [first, ...rest] = relative(part.folder, at).split('/')
        const name = rest.length === 0 ? relative(part.folder, at) : `${first}/`
        sums.set(name, (sums.get(name) ?? 0) + size)
      }
  }
  return [...sums]
    .map(([name, bytes]) => ({ name, bytes }))
    .sort((a, b) => b.bytes - a.bytes)
    .slice(0, count)
}

/** Throws E_CODE_LIMIT, which names what is largest, when more than `limit` bytes would travel. */
export function requireLimit(parts: readonly Part[], project: string, limit: number): void {
  const bytes = parts.reduce((sum, part) => sum + bytesOf(part), 0)
  if (bytes <= limit) return
  const entries = largest(parts, 5)
  throw new GangflowError({
    code: 'E_CODE_LIMIT',
    what: `the flow with its packages and the files of ${project} has ${sizeText(bytes)}, and at most ${sizeText(limit)} are sent to hosts; largest: ${entries.map(({ name, bytes }) => `${name} ${sizeText(bytes)}`).join(', ')}`,
    fix: `name what the steps do not read in ${project}/.gangflowignore (or in package.exclude of gangflow.config.ts), or raise package.limit there; without a package.json of its own, a flow's folder is all that of the next one above`,
    details: { bytes, limit, largest: entries },
  })
}
