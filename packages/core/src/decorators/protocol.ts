import { GangflowError } from '../errors/base.js'
import type { FlowSpec } from '../flow/spec.js'
import type { StepFunction } from '../flow/types.js'
import { type Decoration, metadataOf, ownDecorations } from './metadata.js'

/** The method's function, of which a decoration may take note. */
export type Note = (method: (...args: never[]) => unknown) => Decoration

/** A decorator of steps, in both protocols: TC39's, and TypeScript's `experimentalDecorators`. It never replaces the method. */
export interface StepDecorator {
  <This extends FlowSpec, F extends StepFunction>(
    method: F,
    context: ClassMethodDecoratorContext<This, F> & {
      readonly static: false
      readonly private: false
      readonly name: string
    },
  ): void
  <F extends StepFunction>(target: FlowSpec, key: string, descriptor: TypedPropertyDescriptor<F>): void
}

/** For `decorate()`: applies a decorator to a method of a class without decorator syntax. */
export const applyKey = Symbol.for('@gangflow/core.apply')

/** One function that serves both protocols and `decorate()`. `name` is how the person writes it, such as `@retry`. */
export function stepDecorator(name: string, note: Note): StepDecorator {
  const record = (bag: object, key: string, method: unknown) => {
    const decorations = ownDecorations(bag)
    const list = decorations.get(key) ?? []
    decorations.set(key, list)
    list.push(note(method as never))
  }
  const apply = (...args: readonly unknown[]): void => {
    const [first, second, third] = args
    if (typeof second === 'object' && second !== null && 'kind' in second) {
      const context = second as ClassMethodDecoratorContext
      if (context.kind !== 'method' || context.static || context.private || typeof context.name !== 'string')
        throw misplaced(name, `${context.static ? 'static ' : ''}${context.kind} ${String(context.name)}`)
      // Compilers of before decorator metadata pass none.
      if (context.metadata === undefined)
        throw new GangflowError({
          code: 'E_DECORATOR_METADATA',
          what: `${name} on ${context.name} got no decorator metadata from the compiler`,
          fix: 'import @gangflow/core before the class is defined, and compile with TypeScript 5.2 or esbuild 0.21.3 or later',
        })
      record(context.metadata, context.name, first)
      return
    }
    const method = (third as PropertyDescriptor | undefined)?.value
    if (typeof first !== 'object' || first === null || typeof second !== 'string' || typeof method !== 'function')
      throw misplaced(name, typeof second === 'string' ? second : 'something that is no method')
    record(metadataOf(first.constructor), second, method)
  }
  Object.defineProperty(apply, applyKey, {
    value: (target: object, key: string, method: unknown) => record(metadataOf(target), key, method),
  })
  return apply as StepDecorator
}

function misplaced(name: string, where: string): GangflowError {
  return new GangflowError({
    code: 'E_DECORATOR_PLACE',
    what: `${name} stands on ${where}, and only a public method of a flow can be a step`,
    fix: `put ${name} on a method such as 'fit() { … }'`,
  })
}
