// Compiled by test/types.test.ts under both decorator protocols and two compilers: what should compile does, and
// every @ts-expect-error stands over what must not.
import {
  type Artifacts,
  catchError,
  current,
  decorate,
  environment,
  FlowSpec,
  type Inputs,
  parallel,
  parameter,
  resources,
  retry,
  step,
  timeout,
} from '@gangflow/core'
import { runStep } from '@gangflow/core/testing'
import { fake, needy } from './plugin.js'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <A, B>(_: Equal<A, B>): void => {}

export class Train extends FlowSpec {
  readonly lr = parameter.number({ default: 0.1, help: 'learning rate' })
  readonly opt = parameter.enum(['sgd', 'adam'], { default: 'sgd' })
  readonly name = parameter.string()
  readonly maybe = parameter.string({ required: false })
  readonly verbose = parameter.boolean({ default: false })
  readonly config = parameter.json<{ layers: number[] }>({ default: { layers: [1] } })
  readonly bytes = parameter.file()
  readonly text = parameter.file({ encoding: 'utf8' })
  loss!: number
  declare best: string
  mode: 'cv' | 'full' = 'cv'
  items = ['a', 'b']
  sizes = new Set([1])
  size = 4
  helper() {
    return 1
  }

  @step start() {
    same<typeof this.lr, number>(true)
    same<typeof this.opt, 'sgd' | 'adam'>(true)
    same<typeof this.maybe, string | undefined>(true)
    same<typeof this.text, string>(true)
    same<typeof this.config.layers, number[]>(true)
    // @ts-expect-error a parameter is readonly
    this.lr = 2
    // @ts-expect-error no such artifact
    this.los = 1
    this.next(this.a, this.b)
  }
  @retry({ times: 2, delay: '30s', backoff: 2 })
  @catchError({ artifact: 'error' })
  @timeout('5m')
  @resources({ cpu: 1, gpu: 0, memory: 512 })
  @environment({ vars: { A: 'b' } })
  @step
  a() {
    this.next(this.fit, { foreach: 'items' })
  }
  @step b() {
    this.next({ cv: this.c, full: this.d }, { condition: 'mode' })
  }
  @step async c() {
    await Promise.resolve()
    this.next(this.fitNumber, { foreach: 'sizes', reuse: true })
  }
  @step d() {
    this.next(this.gang, { numParallel: this.size })
  }
  @step fit(item: string) {
    this.best = item
    this.next(this.join)
  }
  @step fitNumber(item: number) {
    this.loss = item
    this.next(this.join)
  }
  @parallel({ minNodes: 2, maxRestarts: 1 })
  @fake({ port: 1 })
  @needy({ must: true })
  @step
  async gang() {
    same<typeof current.fake.answer, 42>(true)
    same<typeof current.attempt, number>(true)
    const all = await current.parallel.allGather(1)
    same<typeof all, number[]>(true)
    // @ts-expect-error no plugin has this namespace
    void current.horovod
    // @ts-expect-error current is readonly
    current.run = 'x'
    this.next(this.join)
  }
  @step join(inputs: Inputs<Train, 'fit' | 'gang'>) {
    same<(typeof inputs)[0], Artifacts<Train>>(true)
    this.loss = inputs.reduce((sum, { loss, lr }) => sum + loss * lr, 0)
    this.loss = inputs.fit.loss + inputs.gang.loss + inputs.control.loss
    this.mergeArtifacts(inputs, { exclude: ['loss'] })
    this.mergeArtifacts([inputs.fit], { include: ['best', 'mode'] })
    // @ts-expect-error no such artifact
    this.mergeArtifacts(inputs, { exclude: ['los'] })
    // @ts-expect-error no such artifact
    void inputs[0]!.los
    // @ts-expect-error a step that was not named
    void inputs.start
    // @ts-expect-error inputs are readonly
    inputs.fit.loss = 1
    // @ts-expect-error methods are no artifacts
    void inputs.fit.helper
    this.next(this.end)
  }
  @step end() {}
}

export class Wrong extends FlowSpec {
  items = ['a']
  size = '4'
  scalar = 5
  mode = 'x'
  @step start() {
    // @ts-expect-error the items are strings
    this.next(this.fit, { foreach: 'items' })
    // @ts-expect-error no such artifact
    this.next(this.end, { foreach: 'itms' })
    // @ts-expect-error a number cannot be iterated
    this.next(this.fit, { foreach: 'scalar' })
    // @ts-expect-error a string is no number of members
    this.next(this.end, { numParallel: this.size })
    // @ts-expect-error no such option
    this.next(this.end, { numParalel: 4 })
    // @ts-expect-error reuse is for a foreach
    this.next(this.end, { numParallel: 4, reuse: true })
    // @ts-expect-error no such artifact
    this.next({ x: this.end }, { condition: 'mod' })
    // @ts-expect-error a case is a step
    this.next({ x: 'end' }, { condition: 'mode' })
    // @ts-expect-error no step
    this.next()
    // @ts-expect-error no such step
    this.next(this.nowhere)
    // @ts-expect-error no step but a value
    this.next(this.size)
  }
  @step fit(_item: number) {}
  @step end() {}

  // @ts-expect-error a step gives nothing back
  @step returns() {
    return 1
  }
  // @ts-expect-error neither does an async one, but its promise
  @step async resolves(): Promise<number> {
    return 1
  }
  // @ts-expect-error a field is no step
  @step field = 1
  // @ts-expect-error a getter is no step
  @step get getter() {
    return 1
  }
  // @ts-expect-error a static method is no step
  @step static still() {}
  // @ts-expect-error the call is missing
  @retry bare() {}
  // @ts-expect-error the call is missing
  @fake bareFake() {}
  // @ts-expect-error no such option
  @retry({ time: 2 }) misspelt() {}
  // @ts-expect-error no such option
  @fake({ prt: 2 }) misspeltFake() {}
  // @ts-expect-error its options are required
  @needy() required() {}
  // @ts-expect-error a boolean is no duration
  @timeout(true) forEver() {}
}

export class NoFlow {
  // @ts-expect-error the class extends no FlowSpec
  @step start() {}
}

export abstract class WrongParameters extends FlowSpec {
  // @ts-expect-error a default of another type
  readonly lr = parameter.number({ default: '1' })
  // @ts-expect-error a default that is no choice
  readonly opt = parameter.enum(['sgd', 'adam'], { default: 'sdg' })
  // @ts-expect-error no such option
  readonly name = parameter.string({ defualt: 'x' })
}

export class Plain extends FlowSpec {
  start() {}
  value = 1
}
decorate(Plain, { start: [retry(), fake({ port: 2 })] })
// @ts-expect-error no such method
decorate(Plain, { strat: [] })
// @ts-expect-error a field is no step
decorate(Plain, { value: [] })
// @ts-expect-error the call is missing
decorate(Plain, { start: [retry] })
// @ts-expect-error no flow
decorate(NoFlow, {})

export async function testing() {
  const { artifacts, transition } = await runStep(Train, 'fit', { item: 'a', artifacts: { loss: 1 } })
  same<typeof artifacts.loss, number>(true)
  void transition.kind
  await runStep(Train, 'join', { inputs: { fit: { loss: 1 }, gang: { loss: 2 } } })
  await runStep(Train, 'join', { inputs: [{ loss: 1 }, { loss: 2 }] })
  await runStep(Train, 'gang', { current: { run: 'r', parallel: { nodeIndex: 1 }, fake: { answer: 42 } } })
  // @ts-expect-error no such step
  await runStep(Train, 'helpers')
  // @ts-expect-error the item is a string
  await runStep(Train, 'fit', { item: 1 })
  // @ts-expect-error no such artifact
  await runStep(Train, 'fit', { artifacts: { los: 1 } })
  // @ts-expect-error the loss is a number
  await runStep(Train, 'fit', { artifacts: { loss: 'x' } })
}
