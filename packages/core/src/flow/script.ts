import { readFileSync } from 'node:fs'
import { findSourceMap, SourceMap } from 'node:module'
import { dirname, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { SourceLocation } from '../errors/base.js'

/** A script that runs in this process. */
export interface Script {
  readonly url: string
  readonly mapUrl: string | undefined
  source?: string
  map?: SourceMap | undefined
}

/** A file as the script that it becomes when loaded as a module; undefined when it cannot be read. */
export function scriptOf(file: string): Script | undefined {
  try {
    const source = readFileSync(file, 'utf8')
    const mapUrl = /\n\/\/# sourceMappingURL=(\S+)\s*$/.exec(source)?.[1]
    return { url: pathToFileURL(file).href, mapUrl, source }
  } catch {
    return undefined
  }
}

/** From a place in a script, counted in characters, to the place in what was written. */
export function originalPlace(script: Script, offset: number): SourceLocation {
  return original(script, ...positionOf(script.source ?? '', offset))
}

/** Characters before a position that counts from 0. */
export function offsetOf(source: string, line: number, column: number): number {
  let start = 0
  for (let n = 0; n < line; n++) start = source.indexOf('\n', start) + 1
  return start + column
}

function positionOf(source: string, offset: number): [line: number, column: number] {
  const before = source.slice(0, offset)
  const lineStart = before.lastIndexOf('\n') + 1
  return [before.split('\n').length - 1, offset - lineStart]
}

/** From a position that counts from 0 in what runs to one that counts from 1 in what was written. */
function original(script: Script, line: number, column: number): SourceLocation {
  const file = script.url.startsWith('file:') ? fileURLToPath(script.url) : script.url
  if (!('map' in script)) script.map = findSourceMap(file) ?? findSourceMap(script.url) ?? loadMap(file, script.mapUrl)
  const entry = script.map?.findEntry(line, column)
  if (!entry || !('originalSource' in entry) || entry.originalLine === undefined)
    return { file, line: line + 1, column: column + 1 }
  const source = entry.originalSource.startsWith('file:')
    ? fileURLToPath(entry.originalSource)
    : resolve(dirname(file), entry.originalSource)
  return { file: source, line: entry.originalLine + 1, column: entry.originalColumn + 1 }
}

function loadMap(file: string, mapUrl: string | undefined): SourceMap | undefined {
  if (mapUrl === undefined) return undefined
  try {
    const inline = /^data:application\/json[^,]*?(;base64)?,(.*)$/s.exec(mapUrl)
    const text = inline
      ? inline[1]
        ? Buffer.from(inline[2]!, 'base64').toString()
        : decodeURIComponent(inline[2]!)
      : readFileSync(new URL(mapUrl, pathToFileURL(file)), 'utf8')
    return new SourceMap(JSON.parse(text))
  } catch {
    // A map that is lost or broken leaves the positions of what runs.
    return undefined
  }
}
