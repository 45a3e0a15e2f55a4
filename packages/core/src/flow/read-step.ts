import type { SourceLocation } from '../errors/base.js'
import type { Complaints } from './complain.js'
import type { Transition } from './description.js'
import type { LoadedStep } from './metadata.js'
import { type ParsedMethod, parseMethod } from './parse.js'
import { readTransition } from './transition.js'

/** A method that is no step, with its text read. */
export interface Helper {
  readonly name: string
  readonly parsed: ParsedMethod
  readonly locate: (offset: number) => SourceLocation | undefined
}

/** What a step's own source says. */
export interface ReadStep {
  readonly transition: Transition | undefined
  readonly parameters: number
}

/** Reads a step's one transition, and complains about whatever is not one. `locate` places an offset of its text. */
export function readStep(
  { name, method }: LoadedStep,
  helpers: ReadonlyMap<string, Helper>,
  locate: (offset: number) => SourceLocation | undefined,
  complaints: Complaints,
): ReadStep {
  const parsed = parseMethod(String(method), name)
  if (!parsed) {
    complaints.add(
      'E_STEP_WRAPPED',
      name,
      `a decorator under @step replaced ${name}, so its own source cannot be read`,
      `write @step directly above the method: the other decorator first, then '@step ${name}() { … }'`,
    )
    return { transition: undefined, parameters: 0 }
  }
  const unread = { transition: undefined, parameters: parsed.parameters }
  const complain = (code: string, what: string, fix: string, offset?: number) => {
    complaints.add(code, name, what, fix, offset === undefined ? undefined : locate(offset))
    return unread
  }
  if (parsed.generator)
    complain(
      'E_STEP_GENERATOR',
      `${name} is a generator, which nobody would run`,
      `write '${name}() { … }' or 'async ${name}() { … }'`,
    )
  const { calls } = parsed
  const [call] = calls
  if (name === 'end') {
    if (call)
      complain('E_NEXT_AT_END', 'end leads on, and nothing follows the end', 'remove its this.next(…)', call.offset)
    return { transition: { kind: 'end' }, parameters: parsed.parameters }
  }
  const helper = parsed.calledMethods
    .map((called) => helpers.get(called))
    .find((one) => one && one.parsed.calls.length > 0)
  if (helper) {
    const at = helper.locate(helper.parsed.calls[0]!.offset)
    complaints.add(
      'E_NEXT_HELPER',
      name,
      `${name} leaves its this.next(…) to the method ${helper.name}`,
      `write the this.next(…) of ${name} in ${name} itself; let ${helper.name} set an artifact to choose by`,
      at,
    )
    return unread
  }
  if (!call && parsed.superCalls.has(name))
    return complain(
      'E_NEXT_HELPER',
      `${name} leaves its this.next(…) to super.${name}()`,
      `write the this.next(…) of ${name} here, and let what both classes do be a method that is no step`,
      parsed.superCalls.get(name),
    )
  if (parsed.aliases.length > 0 && calls.length === 0)
    return complain(
      'E_NEXT_SHAPE',
      `${name} uses this.next without calling it as this.next(…)`,
      'call it literally: this.next(this.end)',
      parsed.aliases[0],
    )
  if (!call)
    return complain(
      'E_NEXT_COUNT',
      `${name} has no this.next(…)`,
      'end it with this.next(this.end), or whatever step follows',
    )
  if (calls.length > 1) {
    const under = calls.some((one) => one.under !== undefined)
    return complain(
      'E_NEXT_COUNT',
      `${name} has ${calls.length} this.next(…)`,
      under
        ? switchForm(parsed, calls[0]!.test)
        : 'a step leads on once: for several steps at once write this.next(this.a, this.b)',
      calls[1]!.offset,
    )
  }
  if (call.under !== undefined)
    return complain(
      'E_NEXT_CONDITIONAL',
      `the this.next(…) of ${name} stands under ${call.under}, so it may not be called exactly once`,
      fixUnder(call.under, name, parsed, call.test),
      call.offset,
    )
  if (parsed.earlyReturn !== undefined)
    complain(
      'E_NEXT_CONDITIONAL',
      `${name} may return before its this.next(…)`,
      switchForm(parsed, undefined),
      parsed.earlyReturn,
    )
  const read = readTransition(call, parsed.text)
  if ('transition' in read) return { transition: read.transition, parameters: parsed.parameters }
  return complain(read.code, `${name}: ${read.what}`, read.fix, call.offset)
}

/** Shows the switch that says what the `if` meant, with the person's own steps where they can be told. */
function switchForm({ calls, text }: ParsedMethod, test: string | undefined): string {
  const targets = calls.flatMap(({ args }) => (args.length === 1 ? [text(args[0]!)] : []))
  const [yes = 'this.a', no = 'this.b'] = targets.filter((target) => /^this\.\w+$/.test(target))
  return `write a switch: this.choice = ${test === undefined ? 'good' : `(${test})`} ? 'yes' : 'no'; this.next({ yes: ${yes}, no: ${no} }, { condition: 'choice' })`
}

function fixUnder(under: string, name: string, parsed: ParsedMethod, test: string | undefined): string {
  if (under === 'a try') return `write it after the try, at the end of ${name}`
  if (under === 'a loop' || under.includes('callback') || under.includes('function'))
    return `call it in ${name} itself; for one task per item set this.items, then this.next(this.fit, { foreach: 'items' })`
  return switchForm(parsed, test)
}
