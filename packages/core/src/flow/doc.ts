import { readFileSync } from 'node:fs'
import type { SourceLocation } from '../errors/base.js'

/** The text of the doc comment that ends right above a place, decorators between them skipped; undefined when there is none. */
export function docAbove(location: SourceLocation | undefined): string | undefined {
  if (!location) return undefined
  let lines: string[]
  try {
    lines = readFileSync(location.file, 'utf8')
      .split('\n')
      .slice(0, location.line - 1)
  } catch {
    return undefined
  }
  while (lines.length > 0 && /^\s*(?:@[\w.]+(?:\(.*\))?\s*)*$/.test(lines.at(-1)!)) lines.pop()
  if (!lines.at(-1)?.trim().endsWith('*/')) return undefined
  const start = lines.findLastIndex((line) => line.includes('/*'))
  if (start < 0 || !lines[start]!.trim().startsWith('/**')) return undefined
  const text = lines
    .slice(start)
    .map((line) =>
      line
        .replace(/^\s*\/?\*+\/?\s?/, '')
        .replace(/\s*\*\/\s*$/, '')
        .trimEnd(),
    )
    .join('\n')
    .trim()
  return text === '' ? undefined : text
}
