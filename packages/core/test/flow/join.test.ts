import { describe, expect, it } from 'vitest'
import type { JoinInput } from '../../src/flow/invocation.js'
import { FlowSpec, type Inputs, parameter, step } from '../../src/index.js'
import { invoke, left, source } from './helpers.js'

class Flow extends FlowSpec {
  readonly lr = parameter.number({ default: 1 })
  x!: number
  same!: { n: number }
  onlyA!: string
  out!: unknown
  @step start() {
    this.next(this.a, this.b)
  }
  @step a() {
    this.next(this.join)
  }
  @step b() {
    this.next(this.join)
  }
  @step join(inputs: Inputs<Flow, 'a' | 'b'>) {
    todo(this, inputs)
    this.next(this.end)
  }
  @step end() {}
  merge(inputs: readonly object[], options?: object) {
    this.mergeArtifacts(inputs, options)
  }
}
let todo: (flow: Flow, inputs: Inputs<Flow, 'a' | 'b'>) => void

const a: JoinInput = { step: 'a', artifacts: source({ x: 1, same: { n: 1 }, onlyA: 'a', z: [1] }) }
const b: JoinInput = { step: 'b', artifacts: source({ x: 2, same: { n: 1 }, z: [2] }) }
/** What the body makes of them: equal ones are there, different ones ambiguous. */
const merged = () => source({ same: { n: 1 }, onlyA: 'a' }, { x: ['a', 'b'], z: ['a', 'b'] })

async function join(work: typeof todo, inputs: readonly JoinInput[] = [a, b]) {
  todo = work
  return invoke(Flow, 'join', { inputs, artifacts: merged(), parameters: { lr: 3 } })
}

describe('inputs', () => {
  it('is a list and has each by its step, with parameters', async () => {
    const result = await join((flow, inputs) => {
      flow.out = [inputs.length, inputs[1]!.x, inputs.a.onlyA, inputs.b.lr, Object.keys(inputs), [...inputs].length]
      flow.x = 0
    })
    expect(left(result)['out']).toEqual([2, 2, 'a', 3, ['0', '1'], 2])
  })

  it('is not for writing', async () => {
    const write = (work: (inputs: Inputs<Flow, 'a'>) => void) => join((_, inputs) => work(inputs))
    await expect(write((inputs) => Object.assign(inputs.a, { x: 1 }))).rejects.toMatchObject({
      code: 'E_INPUT_READONLY',
    })
    await expect(write((inputs) => Object.assign(inputs.a, { lr: 1 }))).rejects.toMatchObject({
      code: 'E_PARAMETER_READONLY',
    })
    await expect(write((inputs) => Object.assign(inputs, [0]))).rejects.toThrow(TypeError)
  })

  it('names what is not one task', async () => {
    const twice = [a, { ...a }]
    await expect(join((_, inputs) => void inputs.a, twice)).rejects.toMatchObject({ code: 'E_INPUT_NAME' })
    await expect(join((_, inputs) => void inputs.control)).rejects.toMatchObject({ code: 'E_INPUT_NAME' })
  })

  it('has the parent called join, too, and keeps the list’s own methods otherwise', async () => {
    const inner: JoinInput = { ...a, step: 'join' }
    const result = await join(
      (flow, inputs) => {
        const { join: parent } = inputs as unknown as { join: { x: number } }
        flow.out = [parent.x, inputs.map(({ x }) => x)]
      },
      [inner, b],
    )
    expect(left(result)['out']).toEqual([1, [1, 2]])
  })

  it('names an artifact that a parent itself left ambiguous', async () => {
    const nested: JoinInput = { step: 'a', artifacts: source({}, { x: ['p', 'q'] }) }
    await expect(join((_, inputs) => void inputs.a.x, [nested, b])).rejects.toMatchObject({
      code: 'E_ARTIFACT_AMBIGUOUS',
      what: expect.stringContaining('p and q'),
    })
  })
})

describe('mergeArtifacts', () => {
  it('refuses what the inputs differ on, naming all', async () => {
    await expect(join((flow, inputs) => flow.merge(inputs))).rejects.toMatchObject({
      code: 'E_MERGE_CONFLICT',
      details: { artifacts: ['x', 'z'] },
      fix: expect.stringContaining("exclude: ['x', 'z']"),
    })
  })

  it('takes along what they agree on, after the join has set or excluded the rest', async () => {
    const result = await join((flow, inputs) => {
      flow.x = Math.max(inputs.a.x, inputs.b.x)
      flow.merge(inputs, { exclude: ['z'] })
    })
    expect(left(result)).toEqual({ same: 'carried', onlyA: 'carried', x: 2 })
  })

  it('takes the included ones alone', async () => {
    const result = await join((flow, inputs) => flow.merge(inputs, { include: ['same'] }))
    expect(left(result)).toEqual({ same: 'carried' })
  })

  it('takes those of one input', async () => {
    const result = await join((flow, inputs) => {
      flow.merge([inputs.b])
      flow.out = [flow.x, 'onlyA' in flow]
    })
    expect(left(result)).toMatchObject({ x: 2, out: [2, false], same: 'carried' })
    const z = result.artifacts.find(({ name }) => name === 'z')
    expect(z).toEqual({ name: 'z', state: 'value', value: [2] })
  })

  it('compares by content where only some are given', async () => {
    const c: JoinInput = { step: 'c', artifacts: source({ z: [1] }) }
    const result = await join((flow, inputs) => flow.merge([inputs[0]!, inputs[2]!], { exclude: ['x'] }), [a, b, c])
    expect(result.artifacts.find(({ name }) => name === 'z')).toMatchObject({ value: [1] })
  })

  it.each<[string, (flow: Flow, inputs: Inputs<Flow>) => void, string]>([
    ['a name that no input has', (flow, inputs) => flow.merge(inputs, { include: ['nope'] }), 'E_MERGE_MISSING'],
    ['both options', (flow, inputs) => flow.merge(inputs, { include: ['x'], exclude: ['z'] }), 'E_MERGE_OPTIONS'],
    ['an unknown option', (flow, inputs) => flow.merge(inputs, { only: ['x'] }), 'E_MERGE_OPTIONS'],
    ['no list of names', (flow, inputs) => flow.merge(inputs, { include: 'x' }), 'E_MERGE_OPTIONS'],
    ['something else than inputs', (flow) => flow.merge([{ x: 1 }]), 'E_MERGE_INPUTS'],
    ['no input', (flow) => flow.merge([]), 'E_MERGE_INPUTS'],
  ])('refuses %s', async (_, work, code) => {
    await expect(join(work)).rejects.toMatchObject({ code, step: 'join' })
  })

  it('is for joins alone', async () => {
    class Plain extends FlowSpec {
      @step start() {
        this.mergeArtifacts([])
        this.next(this.end)
      }
      @step end() {}
    }
    await expect(invoke(Plain, 'start')).rejects.toMatchObject({ code: 'E_MERGE_INPUTS' })
    const start = () => (new Plain() as unknown as { start: () => void }).start()
    expect(start).toThrowError(expect.objectContaining({ code: 'E_OUTSIDE_TASK' }))
  })
})
