import { GangflowError } from '../errors/base.js'
import { isFlowClass } from '../flow/brand.js'
import type { FlowSpec } from '../flow/spec.js'
import type { StepNames } from '../flow/types.js'
import { decorationsOf } from './metadata.js'
import { applyKey, type StepDecorator } from './protocol.js'
import { step } from './step.js'

/**
 * Decorators without their syntax, for plain JavaScript and type-stripping:
 * `decorate(Train, { start: [], fit: [retry({ times: 2 })], end: [] })`. Each named method becomes a step;
 * the list is in the order in which one would write it, top first.
 */
export function decorate<F extends FlowSpec>(
  flowClass: abstract new () => F,
  steps: { readonly [K in StepNames<F>]?: readonly StepDecorator[] },
): void {
  if (!isFlowClass(flowClass))
    throw new GangflowError({
      code: 'E_NOT_A_FLOW',
      what: 'decorate() was given no flow',
      fix: 'pass a class that extends FlowSpec',
    })
  for (const [name, decorators] of Object.entries(steps) as [string, readonly StepDecorator[]][]) {
    const method = Object.getOwnPropertyDescriptor(flowClass.prototype, name)?.value
    if (typeof method !== 'function')
      throw new GangflowError({
        code: 'E_DECORATOR_PLACE',
        what: `decorate(${flowClass.name}, …) names '${name}', which is no method of that class itself`,
        fix: `write the method '${name}() { … }' in ${flowClass.name}, or decorate the class that has it`,
      })
    const apply = (one: StepDecorator) =>
      (one as unknown as Record<symbol, (...args: unknown[]) => void>)[applyKey]!(flowClass, name, method)
    if (!Array.isArray(decorators)) throw noDecorators(flowClass.name, name)
    const given = [...decorators].reverse()
    if (
      !given.includes(step) &&
      !decorationsOf(flowClass)
        .get(name)
        ?.some(({ kind }) => kind === 'step')
    )
      apply(step)
    for (const one of given) {
      if (typeof one !== 'function' || !(applyKey in one)) throw noDecorators(flowClass.name, name)
      apply(one)
    }
  }
}

function noDecorators(flow: string, name: string): GangflowError {
  return new GangflowError({
    code: 'E_DECORATOR_PLACE',
    what: `decorate(${flow}, { ${name}: … }) holds something that is no list of step decorators`,
    fix: `list decorators, each with its call: { ${name}: [retry({ times: 2 })] }, or none: { ${name}: [] }`,
  })
}
