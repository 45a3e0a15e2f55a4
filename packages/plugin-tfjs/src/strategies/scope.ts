import { AsyncLocalStorage } from 'node:async_hooks'
import type { Tf } from '../backends/tf.js'
import type { Model } from './model.js'

/** Who trains the models that are compiled in its scope. */
export interface Adopter {
  adopt(model: Model): void
}

const scope = new AsyncLocalStorage<Adopter>()
/** Models that a scope gave back, or that were compiled in one. */
const owners = new WeakMap<object, Adopter>()
const hooked = new WeakSet<object>()

/** Runs a function, also what it goes on with asynchronously, so that the models that it compiles are adopted. */
export function within<T>(tf: Tf, adopter: Adopter, build: () => T): T {
  hookCompile(tf)
  const made = scope.run(adopter, build)
  if (made instanceof Promise) return made.then((model) => own(tf, adopter, model)) as T
  return own(tf, adopter, made)
}

/** What was built in a scope belongs to it, wherever it is compiled. */
function own<T>(tf: Tf, adopter: Adopter, made: T): T {
  if (made instanceof tf.LayersModel) owners.set(made, adopter)
  return made
}

/** Once for each copy of TensorFlow.js: a compiled model is adopted. A Sequential compiles the model that it has inside. */
function hookCompile(tf: Tf): void {
  if (hooked.has(tf.LayersModel)) return
  hooked.add(tf.LayersModel)
  type Compile = (this: object, ...args: unknown[]) => void
  const plain = tf.LayersModel.prototype as unknown as { compile: Compile }
  const ofPlain = plain.compile
  plain.compile = function (...args) {
    ofPlain.apply(this, args)
    const adopter = owners.get(this) ?? scope.getStore()
    adopter?.adopt(this as Model)
  }
  const sequential = tf.Sequential.prototype as unknown as { compile: Compile }
  const ofSequential = sequential.compile
  sequential.compile = function (...args) {
    const adopter = owners.get(this) ?? scope.getStore()
    if (adopter === undefined) return ofSequential.apply(this, args)
    owners.set(this, adopter)
    scope.run(adopter, () => ofSequential.apply(this, args))
  }
}
