import { readFileSync } from 'node:fs'
import { SourceMap } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { SourceLocation } from '../errors/base.js'

const maps = new Map<string, SourceMap | null>()
let installed = false

/**
 * From now on stacks that go through this bundle show the person's own files and lines. The map is read when a
 * first stack is: `process.setSourceMapsEnabled(true)` would read it, and that of every package, at each start.
 */
export function installSourceMaps(bundle: string): void {
  maps.set(pathToFileURL(bundle).href, maps.get(pathToFileURL(bundle).href) ?? null)
  if (installed) return
  installed = true
  const before = Error.prepareStackTrace
  Error.prepareStackTrace = (error, sites) => {
    if (before !== undefined && !sites.some((site) => maps.has(site.getScriptNameOrSourceURL() ?? ''))) {
      return before(error, sites)
    }
    return `${headerOf(error)}${sites.map((site) => `\n    at ${frameOf(site)}`).join('')}`
  }
}

/** The person's own place of a place in a bundle that `installSourceMaps` knows; lines and columns from 1. */
export function originalLocation(url: string, line: number, column: number): SourceLocation | undefined {
  if (!maps.has(url)) return undefined
  const entry = mapOf(url)?.findEntry(line - 1, column - 1) as
    | { originalSource?: string; originalLine?: number; originalColumn?: number }
    | undefined
  if (!entry?.originalSource?.startsWith('file:')) return undefined
  const { originalSource, originalLine = 0, originalColumn = 0 } = entry
  return { file: fileURLToPath(originalSource), line: originalLine + 1, column: originalColumn + 1 }
}

function frameOf(site: NodeJS.CallSite): string {
  const text = String(site)
  const url = site.getScriptNameOrSourceURL()
  const [line, column] = [site.getLineNumber(), site.getColumnNumber()]
  if (!url || line === null || column === null) return text
  const at = originalLocation(url, line, column)
  return at === undefined ? text : text.replace(`${url}:${line}:${column}`, `${at.file}:${at.line}:${at.column}`)
}

/** As Node words it: its own errors have their code after the name. */
function headerOf(error: Error): string {
  try {
    const { code } = error as NodeJS.ErrnoException
    if (typeof code !== 'string' || !/^ERR_[A-Z0-9_]+$/.test(code)) return Error.prototype.toString.call(error)
    return `${error.name} [${code}]: ${error.message}`
  } catch {
    return '<error>'
  }
}

function mapOf(url: string): SourceMap | undefined {
  const known = maps.get(url)
  if (known) return known
  try {
    const map = new SourceMap(JSON.parse(readFileSync(`${fileURLToPath(url)}.map`, 'utf8')))
    maps.set(url, map)
    return map
  } catch {
    return undefined
  }
}
