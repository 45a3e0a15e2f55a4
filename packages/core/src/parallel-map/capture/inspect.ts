import type * as Inspector from 'node:inspector'
import { GangflowError, messageOf } from '../../errors/base.js'

/** The variables that a function sees, innermost scope first, and where V8 says that its text stands. */
export interface Sight {
  readonly scopes: readonly Record<string, unknown>[]
  readonly script: string
  /** Counted from 0; of a function's parameters, of an arrow's and a class' beginning. */
  readonly line: number
  readonly column: number
}

/** URLs of scripts, for as long as the process lives; empty where even the debugger does not know one. */
const urls = new Map<string, string>()

/** A connection of this thread's inspector with itself: it stops nothing and shows nothing to a debugger. */
export class Inspection {
  readonly #session: Inspector.Session
  readonly #inspector: typeof Inspector
  /** Scripts whose URL was asked for in vain. */
  #unknown = false

  /** Learns whose code called, so it is to be made before anything is awaited. Not async: importing would lose the callers. */
  constructor() {
    const inspector = inspectorHere()
    this.#inspector = inspector
    this.#session = connected(inspector)
    this.#session.on('Runtime.consoleAPICalled', ({ params }) => {
      for (const { scriptId, url } of params.stackTrace?.callFrames ?? []) urls.set(scriptId, url)
    })
    this.#post('Runtime.enable', {})
    inspector.console.debug('')
    this.#post('Runtime.disable', {})
  }

  end(): void {
    this.#session.disconnect()
  }

  sight(fn: unknown): Sight {
    const key = Symbol.for('@gangflow/core.capture')
    // Not on the global object: test runners have modules in a realm of their own, and the inspector asks the main one.
    const hand = this.#inspector as unknown as Record<symbol, { fn: unknown; scopes: { object: object }[] } | undefined>
    hand[key] = { fn, scopes: [] }
    const at = `process.getBuiltinModule('node:inspector')[Symbol.for('@gangflow/core.capture')]`
    try {
      const { result } = this.#post('Runtime.evaluate', { expression: `${at}.fn`, objectGroup: 'capture' })
      const { internalProperties } = this.#post('Runtime.getProperties', {
        objectId: result.objectId,
        ownProperties: true,
      })
      const internal = (name: string) =>
        internalProperties?.find((one: { name: string }) => one.name === name)?.value as never
      const list = internal('[[Scopes]]') as { objectId: string } | undefined
      const place = (
        internal('[[FunctionLocation]]') as
          | { value: { scriptId: string; lineNumber: number; columnNumber: number } }
          | undefined
      )?.value
      if (list) {
        this.#post('Runtime.callFunctionOn', {
          objectId: list.objectId,
          functionDeclaration: `function () { const to = ${at}.scopes; for (let i = 0; i < this.length; i++) to.push(this[i]) }`,
        })
      }
      // The last scope is the global object, and maybe a script's before it: both are there in a worker, or missed by name.
      const scopes = hand[key].scopes.map(({ object }) => object as Record<string, unknown>)
      return {
        scopes: scopes.filter((scope) => scope !== globalThis),
        script: place?.scriptId ?? '',
        line: place?.lineNumber ?? 0,
        column: place?.columnNumber ?? 0,
      }
    } finally {
      hand[key] = undefined
      this.#post('Runtime.releaseObjectGroup', { objectGroup: 'capture' })
    }
  }

  /** The file or URL of a script; undefined where V8 does not say so cheaply. */
  urlOf(script: string): string | undefined {
    if (!urls.has(script)) this.#learnByCoverage()
    if (!urls.has(script)) {
      urls.set(script, '')
      this.#unknown = true
    }
    return urls.get(script) || undefined
  }

  /** Asks the debugger, at fifty times the cost. False where there is nothing to learn by it. */
  learnAll(): boolean {
    if (!this.#unknown) return false
    this.#unknown = false
    const learn = ({ params }: { params: { scriptId: string; url: string } }): void => {
      urls.set(params.scriptId, params.url)
    }
    this.#session.on('Debugger.scriptParsed', learn)
    this.#post('Debugger.enable', {})
    this.#post('Debugger.disable', {})
    this.#session.off('Debugger.scriptParsed', learn)
    return true
  }

  /** Knows the scripts of which a function has run. */
  #learnByCoverage(): void {
    this.#post('Profiler.enable', {})
    for (const { scriptId, url } of this.#post('Profiler.getBestEffortCoverage', {}).result) urls.set(scriptId, url)
    this.#post('Profiler.disable', {})
  }

  // biome-ignore lint/suspicious/noExplicitAny: the protocol's answers
  #post(method: string, params: object): any {
    let answer: unknown
    let failure: Error | null = null
    this.#session.post(method, params, (error, result) => {
      failure = error
      answer = result
    })
    if (failure) throw failure
    return answer
  }
}

function inspectorHere(): typeof Inspector {
  const inspector = process.getBuiltinModule('node:inspector') as typeof Inspector | undefined
  if (inspector === undefined) throw blind(new Error('this Node was built without its inspector'))
  return inspector
}

function connected(inspector: typeof Inspector): Inspector.Session {
  const session = new inspector.Session()
  try {
    session.connect()
  } catch (error) {
    throw blind(error)
  }
  return session
}

function blind(cause: unknown): GangflowError {
  return new GangflowError(
    {
      code: 'E_MAP_CAPTURE',
      what: `the variables of a function cannot be seen here: ${messageOf(cause)}`,
      fix: 'run a Node that has its inspector, and without --permission, which forbids it',
    },
    { cause },
  )
}
