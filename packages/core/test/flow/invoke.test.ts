import { describe, expect, it } from 'vitest'
import { FlowSpec, type Inputs, parameter, step } from '../../src/index.js'
import { invoke, left, source } from './helpers.js'

class Train extends FlowSpec {
  readonly lr = parameter.number({ default: 0.1 })
  readonly config = parameter.json<{ deep: { on: boolean } }>({ default: { deep: { on: true } } })
  loss!: number
  mode = 'cv'
  list!: number[]
  nested!: { deep: { n: number } }
  items!: Iterable<unknown> | AsyncIterable<unknown> | undefined
  size!: unknown
  choice!: unknown
  helper = () => this.mode

  @step start() {
    this.loss = this.lr * 2
    this.next(this.mutate)
  }
  @step async mutate() {
    await null
    this.list.push(4)
    this.nested.deep.n++
    this.next(this.split)
  }
  @step split() {
    this.next(this.item, { foreach: 'items', reuse: true })
  }
  @step async item(item: unknown) {
    this.mode = `item ${item}`
    this.next(this.join)
  }
  @step join(inputs: Inputs<Train, 'item'>) {
    this.loss = inputs.reduce((sum, input) => sum + input.loss + input.lr, 0)
    this.next(this.spread)
  }
  @step spread() {
    this.next(this.gang, { numParallel: this.size as number })
  }
  @step gang() {
    this.next(this.after)
  }
  @step after(inputs: Inputs<Train>) {
    this.loss = inputs.control.loss
    this.next({ again: this.start, 7: this.end, true: this.end }, { condition: 'choice' })
  }
  @step end() {}

  wrong = 0
  @step none() {
    if (this.wrong === 0) return
    this.next(this.end)
  }
  @step twice() {
    this.next(this.end)
    this.next(this.end)
  }
  @step fails() {
    throw 'not even an Error'
  }
  @step ambiguous() {
    this.loss++
    this.next(this.end)
  }
  @step sets() {
    Object.assign(this, { lr: 3 })
  }
  @step late() {
    setTimeout(() => {
      try {
        this.next(this.end)
      } catch (error) {
        lateErrors.push(error)
      }
    }, 0)
  }
  @step foreign() {
    this.next((() => {}) as never)
  }
  @step named() {
    Object.assign(this, { join: 1 })
    this.next(this.end)
  }
}
const lateErrors: unknown[] = []

describe('invokeStep', () => {
  it('gives parameters, keeps initial values and set artifacts, and leaves out fields without value', async () => {
    const result = await invoke(Train, 'start', { parameters: { lr: 0.5, config: { deep: { on: false } } } })
    expect(result.transition).toEqual({ kind: 'next', targets: ['mutate'] })
    expect(left(result)).toEqual({ loss: 1, mode: 'cv', wrong: 0 })
  })

  it('restores artifacts over initial values, reads lazily, carries what is not read', async () => {
    const artifacts = source({ mode: 'stored', loss: 3, list: [1], nested: { deep: { n: 1 } } })
    const result = await invoke(Train, 'mutate', { artifacts })
    expect(artifacts.reads).toEqual(['list', 'nested'])
    expect(left(result)).toEqual({
      mode: 'carried',
      loss: 'carried',
      list: [1, 4],
      nested: { deep: { n: 2 } },
      wrong: 0,
    })
  })

  it('reads an artifact once', async () => {
    class Flow extends FlowSpec {
      big!: number[]
      same!: boolean
      @step start() {
        const first = this.big
        this.same = first === this.big
        this.next(this.end)
      }
      @step end() {}
    }
    const artifacts = source({ big: [1, 2] })
    expect(left(await invoke(Flow, 'start', { artifacts }))).toEqual({ big: [1, 2], same: true })
    expect(artifacts.reads).toEqual(['big'])
  })

  it.each([
    ['a list', ['x', 'y'], ['x', 'y']],
    ['a set', new Set([1, 2]), [1, 2]],
    ['a map', new Map([[1, 2]]), [[1, 2]]],
    ['typed numbers', Float64Array.of(1.5), [1.5]],
    [
      'an async iterable',
      (async function* () {
        yield 'late'
      })(),
      ['late'],
    ],
  ])('evaluates a foreach over %s', async (_, items, expected) => {
    const result = await invoke(Train, 'split', { artifacts: source({ items }) })
    expect(result.transition).toEqual({
      kind: 'foreach',
      target: 'item',
      artifact: 'items',
      reuse: true,
      items: expected,
    })
  })

  it.each([
    [undefined, 'E_FOREACH_ITEMS', /not set/],
    [7, 'E_FOREACH_ITEMS', /no list but 7/],
    [[], 'E_FOREACH_EMPTY', /empty/],
  ])('refuses a foreach over %j', async (items, code, what) => {
    await expect(invoke(Train, 'split', { artifacts: source({ items }) })).rejects.toMatchObject({
      code,
      step: 'split',
      message: expect.stringMatching(what),
    })
  })

  it('hands over the item, also undefined', async () => {
    expect(left(await invoke(Train, 'item', { item: { value: 'a' } }))['mode']).toBe('item a')
    expect(left(await invoke(Train, 'item', { item: { value: undefined } }))['mode']).toBe('item undefined')
  })

  it('gives a join its inputs with parameters', async () => {
    const result = await invoke(Train, 'join', {
      parameters: { lr: 10 },
      inputs: [1, 2].map((loss) => ({ step: 'item', artifacts: source({ loss }) })),
      artifacts: source({}, { loss: ['item', 'item'] }),
    })
    expect(left(result)['loss']).toBe(23)
  })

  it('gives the join of a gang its control', async () => {
    const result = await invoke(Train, 'after', {
      inputs: [0, 1].map((node) => ({ step: 'gang', node, control: node === 1, artifacts: source({ loss: node }) })),
      artifacts: source({ choice: 'again' }, { loss: ['gang', 'gang'] }),
    })
    expect(left(result)['loss']).toBe(1)
    expect(result.transition).toEqual({ kind: 'next', targets: ['start'] })
  })

  it.each([
    [7, 'end'],
    ['7', 'end'],
    [true, 'end'],
    ['again', 'start'],
  ])('a switch on %j leads to %s', async (choice, target) => {
    const inputs = [{ step: 'gang', control: true, artifacts: source({ loss: 0 }) }]
    const result = await invoke(Train, 'after', { inputs, artifacts: source({ choice }) })
    expect(result.transition).toEqual({ kind: 'next', targets: [target] })
  })

  it.each([['other'], [undefined], [null], [{}], [5n], ['toString']])(
    'refuses a switch on %o by listing the cases',
    async (choice) => {
      const inputs = [{ step: 'gang', control: true, artifacts: source({ loss: 0 }) }]
      await expect(invoke(Train, 'after', { inputs, artifacts: source({ choice }) })).rejects.toMatchObject({
        code: 'E_SWITCH_CASE',
        fix: expect.stringContaining('again'),
      })
    },
  )

  it('checks a computed numParallel', async () => {
    const result = await invoke(Train, 'spread', { artifacts: source({ size: 3 }) })
    expect(result.transition).toEqual({ kind: 'gang', target: 'gang', size: 3 })
    for (const size of [0, -1, 1.5, '4', Number.NaN, undefined])
      await expect(invoke(Train, 'spread', { artifacts: source({ size }) })).rejects.toMatchObject({
        code: 'E_NUM_PARALLEL',
      })
  })

  it.each([
    ['none', 'E_NEXT_MISSING'],
    ['twice', 'E_NEXT_TWICE'],
    ['sets', 'E_PARAMETER_READONLY'],
    ['foreign', 'E_NEXT_ARGUMENTS'],
    ['named', 'E_ARTIFACT_NAME'],
    ['nowhere', 'E_STEP_UNKNOWN'],
  ])('%s is refused with %s', async (name, code) => {
    await expect(invoke(Train, name)).rejects.toMatchObject({ code })
  })

  it('throws what the step threw, as it is', async () => {
    await expect(invoke(Train, 'fails')).rejects.toBe('not even an Error')
  })

  it('names a this.next that comes after the end of its step', async () => {
    await expect(invoke(Train, 'late')).rejects.toMatchObject({ code: 'E_NEXT_MISSING' })
    await expect.poll(() => lateErrors).toMatchObject([{ code: 'E_OUTSIDE_TASK' }])
  })

  it('names the steps behind an ambiguous artifact, carries it on in silence otherwise', async () => {
    const artifacts = source({ mode: 'x' }, { loss: ['a', 'b'] })
    await expect(invoke(Train, 'ambiguous', { artifacts })).rejects.toMatchObject({
      code: 'E_ARTIFACT_AMBIGUOUS',
      what: expect.stringContaining('a and b'),
    })
    const untouched = await invoke(Train, 'spread', { artifacts: source({ size: 1 }, { loss: ['a', 'b'] }) })
    expect(left(untouched)).toEqual({ size: 1, mode: 'cv', wrong: 0 })
  })

  it('refuses a plugin that does not call next exactly once', async () => {
    await expect(invoke(Train, 'start', { around: async () => {} })).rejects.toMatchObject({ code: 'E_PLUGIN_WRAP' })
    const around = async (run: () => Promise<void>) => {
      await run()
      await run()
    }
    await expect(invoke(Train, 'start', { around })).rejects.toMatchObject({ code: 'E_PLUGIN_WRAP' })
  })

  it('refuses a way that the description does not have', async () => {
    const description = { transition: { kind: 'linear', target: 'end' } } as never
    await expect(invoke(Train, 'start', { description })).rejects.toMatchObject({ code: 'E_NEXT_ARGUMENTS' })
  })
})
