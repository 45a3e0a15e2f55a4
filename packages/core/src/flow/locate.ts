import { readFileSync } from 'node:fs'
import { Session } from 'node:inspector'
import { findSourceMap, SourceMap } from 'node:module'
import { dirname, resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { SourceLocation } from '../errors/base.js'

/** Where a function of this process stands in the person's source. */
export interface Locator {
  /** `offset` counts characters of `fn.toString()`. */
  locate(fn: object, offset?: number): SourceLocation | undefined
  close(): void
}

interface Script {
  readonly url: string
  readonly mapUrl: string | undefined
  source?: string
  map?: SourceMap | undefined
}

type Post = (method: string, params?: object) => Record<string, never>

/** Asks V8's inspector for positions, and source maps for what they were. In one thread its answers come at once. */
export function openLocator(): Locator {
  const scripts = new Map<string, Script>()
  const session = new Session()
  session.connect()
  session.on('Debugger.scriptParsed', ({ params }) => {
    scripts.set(params.scriptId, { url: params.url, mapUrl: params.sourceMapURL || undefined })
  })
  const post: Post = (method, params) => {
    let answer: object = {}
    session.post(method, params, (error: Error | null, result?: object) => {
      if (error === null && result) answer = result
    })
    return answer as Record<string, never>
  }
  post('Debugger.enable')
  return {
    locate: (fn, offset = 0) => locate(post, scripts, fn, offset),
    close: () => {
      post('Debugger.disable')
      session.disconnect()
    },
  }
}

const handle = Symbol.for('@gangflow/core.located')

function locate(post: Post, scripts: Map<string, Script>, fn: object, offset: number): SourceLocation | undefined {
  const shared = globalThis as Record<symbol, unknown>
  shared[handle] = fn
  const { result } = post('Runtime.evaluate', { expression: `globalThis[Symbol.for('${handle.description}')]` }) as {
    result?: { objectId?: string }
  }
  delete shared[handle]
  const { internalProperties = [] } = post('Runtime.getProperties', {
    objectId: result?.objectId,
    ownProperties: true,
  }) as {
    internalProperties?: {
      name: string
      value: { value: { scriptId: string; lineNumber: number; columnNumber: number } }
    }[]
  }
  const at = internalProperties.find(({ name }) => name === '[[FunctionLocation]]')?.value.value
  const script = at && scripts.get(at.scriptId)
  if (!at || !script) return undefined
  script.source ??=
    (post('Debugger.getScriptSource', { scriptId: at.scriptId }) as { scriptSource?: string }).scriptSource ?? ''
  // V8 points into the head of the function; its text begins there or a little before.
  const pointed = offsetOf(script.source, at.lineNumber, at.columnNumber)
  const start = script.source.lastIndexOf(String(fn), pointed)
  return original(script, ...positionOf(script.source, (start < 0 ? pointed : start) + offset))
}

function offsetOf(source: string, line: number, column: number): number {
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
