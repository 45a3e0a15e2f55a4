import { GangflowError } from '../errors/base.js'
import { show } from '../errors/show.js'

/** What a step's call of `this.next(…)` asked for, before its artifacts are looked at. */
export type Asked =
  | { readonly kind: 'next'; readonly targets: readonly string[] }
  | { readonly kind: 'foreach'; readonly target: string; readonly artifact: string; readonly reuse: boolean }
  | { readonly kind: 'gang'; readonly target: string; readonly size: number }
  | { readonly kind: 'switch'; readonly cases: Readonly<Record<string, string>>; readonly condition: string }

/** Reads the arguments of `this.next(…)`; `nameOf` gives the step that a function is, or undefined. */
export function readNext(
  step: string,
  args: readonly unknown[],
  nameOf: (value: unknown) => string | undefined,
): Asked {
  const target = (value: unknown, where: string): string => {
    const name = nameOf(value)
    if (name !== undefined) return name
    throw badNext(
      step,
      `${where} is ${show(value)}, which is no step of this flow`,
      'pass a step as this.name, its method marked with @step',
    )
  }
  const [first, second] = args
  if (args.length === 0) throw badNext(step, 'was given no step', 'write this.next(this.end)')
  const options =
    args.length === 2 && typeof second === 'object' && second !== null ? (second as Record<string, unknown>) : undefined
  if (!options) return { kind: 'next', targets: args.map((arg, index) => target(arg, `argument ${index + 1}`)) }
  if (typeof options['condition'] === 'string') {
    if (typeof first !== 'object' || first === null || Object.keys(first).length === 0)
      throw badNext(
        step,
        'has a condition and no cases',
        "write this.next({ a: this.x, b: this.y }, { condition: 'mode' })",
      )
    const cases = Object.fromEntries(Object.entries(first).map(([key, value]) => [key, target(value, `case '${key}'`)]))
    return { kind: 'switch', cases, condition: options['condition'] }
  }
  if ('numParallel' in options)
    return { kind: 'gang', target: target(first, 'argument 1'), size: gangSize(step, options['numParallel']) }
  if (typeof options['foreach'] === 'string')
    return {
      kind: 'foreach',
      target: target(first, 'argument 1'),
      artifact: options['foreach'],
      reuse: options['reuse'] === true,
    }
  throw badNext(
    step,
    `has the options { ${Object.keys(options).join(', ')} }`,
    "give { foreach: 'items' }, { numParallel: 4 } or { condition: 'mode' }",
  )
}

/** A number of members, or a named error. */
export function gangSize(step: string, size: unknown): number {
  if (typeof size === 'number' && Number.isSafeInteger(size) && size >= 1) return size
  throw new GangflowError({
    code: 'E_NUM_PARALLEL',
    what: `${step} asks for a gang of ${show(size)}`,
    fix: 'numParallel is a whole number >= 1',
    step,
  })
}

/** Something wrong with a call of `this.next(…)`, found when it is made. */
export function badNext(step: string, problem: string, fix: string): GangflowError {
  return new GangflowError({ code: 'E_NEXT_ARGUMENTS', what: `this.next(…) in ${step} ${problem}`, fix, step })
}
