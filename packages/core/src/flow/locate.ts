import { Session } from 'node:inspector'
import type { SourceLocation } from '../errors/base.js'
import { offsetOf, originalPlace, type Script, scriptOf } from './script.js'

/** Where a function of this process stands in the person's source. */
export interface Locator {
  /** `offset` counts characters of `fn.toString()`. */
  locate(fn: object, offset?: number): SourceLocation | undefined
  close(): void
}

type Post = (method: string, params?: object) => Record<string, never>

/** Where V8 says that a function is. */
interface Place {
  readonly scriptId: string
  readonly lineNumber: number
  readonly columnNumber: number
}

/**
 * Asks V8's inspector for positions, and source maps for what they were. In one thread its answers come at once.
 * `likely` is the file that the functions come from: what is found in it needs no list of all scripts, which takes V8
 * tens of milliseconds to make.
 */
export function openLocator(likely?: string): Locator {
  const session = new Session()
  session.connect()
  const post: Post = (method, params) => {
    let answer: object = {}
    session.post(method, params, (error: Error | null, result?: object) => {
      if (error === null && result) answer = result
    })
    return answer as Record<string, never>
  }
  const expected = likely === undefined ? undefined : scriptOf(likely)
  let scripts: Map<string, Script> | undefined
  return {
    locate(fn, offset = 0) {
      const place = placeOf(post, fn)
      if (!place) return undefined
      const text = String(fn)
      const found = expected && startOf(expected, place, text)
      if (found !== undefined && found >= 0) return originalPlace(expected!, found + offset)
      scripts ??= listScripts(session, post)
      const script = scripts.get(place.scriptId)
      if (!script) return undefined
      script.source ??=
        (post('Debugger.getScriptSource', { scriptId: place.scriptId }) as { scriptSource?: string }).scriptSource ?? ''
      const start = startOf(script, place, text)
      return originalPlace(
        script,
        (start < 0 ? offsetOf(script.source, place.lineNumber, place.columnNumber) : start) + offset,
      )
    },
    close() {
      session.disconnect()
    },
  }
}

function listScripts(session: Session, post: Post): Map<string, Script> {
  const scripts = new Map<string, Script>()
  session.on('Debugger.scriptParsed', ({ params }) => {
    scripts.set(params.scriptId, { url: params.url, mapUrl: params.sourceMapURL || undefined })
  })
  post('Debugger.enable')
  return scripts
}

const handle = Symbol.for('@gangflow/core.located')

function placeOf(post: Post, fn: object): Place | undefined {
  const shared = globalThis as Record<symbol, unknown>
  shared[handle] = fn
  const { result } = post('Runtime.evaluate', { expression: `globalThis[Symbol.for('${handle.description}')]` }) as {
    result?: { objectId?: string }
  }
  delete shared[handle]
  const { internalProperties = [] } = post('Runtime.getProperties', {
    objectId: result?.objectId,
    ownProperties: true,
  }) as { internalProperties?: { name: string; value: { value: Place } }[] }
  return internalProperties.find(({ name }) => name === '[[FunctionLocation]]')?.value.value
}

/** Where a function's text begins: V8 points into its head. Negative when it is not there. */
function startOf({ source = '' }: Script, { lineNumber, columnNumber }: Place, text: string): number {
  const pointed = offsetOf(source, lineNumber, columnNumber)
  const start = source.lastIndexOf(text, pointed)
  return start + text.length > pointed ? start : -1
}
