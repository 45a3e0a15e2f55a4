import { describe, expect, it } from 'vitest'
import { coerceParameters } from '../../src/flow/coerce.js'
import { FlowSpec, parameter, step } from '../../src/index.js'
import { complaint, describeHere, invoke, left } from './helpers.js'

class Train extends FlowSpec {
  readonly lr = parameter.number({ default: 0.1, help: 'learning rate' })
  readonly batchSize = parameter.number({ help: 'rows at once' })
  readonly opt = parameter.enum(['sgd', 'adam'], { default: 'sgd' })
  readonly name = parameter.string({ required: false })
  readonly verbose = parameter.boolean({ default: false })
  readonly config = parameter.json({ default: { layers: [1] } })
  readonly data = parameter.file({ default: './data.csv' })
  readonly note = parameter.file({ encoding: 'utf8', required: false })
  seen!: unknown
  @step start() {
    this.seen = [this.lr, this.opt, this.name, this.config, this.data, this.note]
    this.next(this.end)
  }
  @step end() {}
}
const { parameters } = describeHere(Train)

describe('the description', () => {
  it('has them in order, as plain data', () => {
    expect(parameters.map(({ name, kind, required }) => [name, kind, required])).toEqual([
      ['lr', 'number', false],
      ['batchSize', 'number', true],
      ['opt', 'enum', false],
      ['name', 'string', false],
      ['verbose', 'boolean', false],
      ['config', 'json', false],
      ['data', 'file', false],
      ['note', 'file', false],
    ])
    expect(parameters[0]).toEqual({ name: 'lr', kind: 'number', help: 'learning rate', required: false, default: 0.1 })
    expect(parameters[2]!.choices).toEqual(['sgd', 'adam'])
    expect(parameters[7]!.encoding).toBe('utf8')
  })
})

describe('text of the command line', () => {
  const read = (given: Record<string, unknown>) => coerceParameters(parameters, { 'batch-size': '1', ...given }, 'text')

  it('is coerced, and completed by the defaults', () => {
    expect(read({ lr: '1e-3', opt: 'adam', verbose: true, config: '{"a":[1]}', data: 'x.csv', name: '' })).toEqual({
      batchSize: 1,
      lr: 0.001,
      opt: 'adam',
      verbose: true,
      config: { a: [1] },
      data: { path: 'x.csv', base: 'cwd' },
      name: '',
    })
    expect(read({ verbose: 'false' })).toEqual({
      batchSize: 1,
      lr: 0.1,
      opt: 'sgd',
      verbose: false,
      config: { layers: [1] },
      data: { path: './data.csv', base: 'flow' },
    })
  })

  it.each<[Record<string, unknown>, string, RegExp]>([
    [{ lr: 'fast' }, 'E_PARAMETER_TYPE', /--lr is 'fast', which is no number.*give a number/s],
    [{ lr: '' }, 'E_PARAMETER_TYPE', /no number/],
    [{ lr: true }, 'E_PARAMETER_TYPE', /without a value/],
    [{ lr: ['1', '2'] }, 'E_PARAMETER_TYPE', /is \[ '1', '2' \]/],
    [{ lr: 'Infinity' }, 'E_PARAMETER_TYPE', /no number/],
    [{ opt: 'sdg' }, 'E_PARAMETER_TYPE', /one of: sgd, adam/],
    [{ verbose: 'yes' }, 'E_PARAMETER_TYPE', /true or false/],
    [{ config: '{' }, 'E_PARAMETER_TYPE', /is no JSON/],
    [{ bacth: '1' }, 'E_PARAMETER_UNKNOWN', /no parameter --bacth.*valid parameters: --lr, --batch-size/s],
    [{ batchsize: '1' }, 'E_PARAMETER_UNKNOWN', /did you mean --batch-size\?/],
  ])('%j is refused', (given, code, message) => {
    expect(() => read(given)).toThrowError(expect.objectContaining({ code }))
    expect(() => read(given)).toThrowError(message)
  })

  it('says everything that is wrong at once', () => {
    const error = (() => {
      try {
        coerceParameters(parameters, { x: '1', lr: 'a', opt: 'b' }, 'text')
      } catch (error) {
        return error as { details: { problems: { code: string }[] } }
      }
    })()!
    expect(error.details.problems.map(({ code }) => code)).toEqual([
      'E_PARAMETER_UNKNOWN',
      'E_PARAMETER_TYPE',
      'E_PARAMETER_TYPE',
      'E_PARAMETER_MISSING',
    ])
  })
})

describe('values of run()', () => {
  const read = (given: Record<string, unknown>) => coerceParameters(parameters, { batchSize: 1, ...given }, 'value')

  it('pass as they are', () => {
    const bytes = new Uint8Array([1])
    expect(read({ lr: 2, config: null, data: bytes, verbose: true, name: undefined })).toMatchObject({
      lr: 2,
      config: null,
      data: bytes,
      verbose: true,
    })
  })

  it.each([
    [{ lr: '2' }],
    [{ lr: Number.NaN }],
    [{ lr: 2n }],
    [{ opt: 'x' }],
    [{ verbose: 'true' }],
    [{ name: 5 }],
    [{ config: { at: new Date() } }],
    [{ config: [undefined as unknown, () => 1] }],
    [{ data: 5 }],
  ])('%o is refused', (given) => {
    expect(() => read(given)).toThrowError(expect.objectContaining({ code: 'E_PARAMETER_TYPE' }))
  })

  it('a loop is no JSON', () => {
    const loop: Record<string, unknown> = {}
    loop['loop'] = loop
    expect(() => read({ config: loop })).toThrowError(expect.objectContaining({ code: 'E_PARAMETER_TYPE' }))
  })

  it('names are fields, not flags', () => {
    expect(() => read({ 'batch-size': 1 })).toThrowError(/did you mean batchSize\?/)
  })

  it('a flow without parameters says so', () => {
    expect(() => coerceParameters([], { lr: 1 }, 'value')).toThrowError(/this flow has no parameters/)
  })
})

describe('in a step', () => {
  it('holds the values; JSON frozen, a text file as text', async () => {
    const given = { lr: 1, opt: 'adam', config: { deep: [1] }, data: Buffer.from('b'), note: Buffer.from('t') }
    const { seen } = left(await invoke(Train, 'start', { parameters: given })) as { seen: unknown[] }
    expect(seen).toEqual([1, 'adam', undefined, { deep: [1] }, Buffer.from('b'), 't'])
    expect(Object.isFrozen((seen[3] as { deep: unknown }).deep)).toBe(true)
    expect(Object.isFrozen(given.config)).toBe(false)
  })
})

describe('read before it has its value', () => {
  it.each<[string, () => new () => FlowSpec]>([
    [
      'in arithmetic',
      () =>
        class Flow extends Train {
          twice = this.lr * 2
        },
    ],
    [
      'in a template',
      () =>
        class Flow extends Train {
          title = `lr ${this.lr}`
        },
    ],
    [
      'by a method of its value',
      () =>
        class Flow extends Train {
          upper = this.opt.toUpperCase()
        },
    ],
    [
      'by a field of its value',
      () =>
        class Flow extends Train {
          layers = (this.config as { layers: number[] }).layers
        },
    ],
    [
      'copied',
      () =>
        class Flow extends Train {
          rate = this.lr
        },
    ],
  ])('%s', async (_, make) => {
    const flowClass = make()
    expect(complaint(flowClass, 'E_PARAMETER_EARLY').fix).toBeTruthy()
    await expect(invoke(flowClass, 'start')).rejects.toMatchObject({ code: 'E_PARAMETER_EARLY' })
  })
})

describe('a wrong declaration', () => {
  it.each<[string, () => unknown]>([
    ['a default of another type', () => parameter.number({ default: '1' as never })],
    ['NaN', () => parameter.number({ default: Number.NaN })],
    ['an unknown option', () => parameter.string({ defualt: 'x' } as never)],
    ['no choices', () => parameter.enum([] as never)],
    ['a default that is no choice', () => parameter.enum(['a'], { default: 'b' as never })],
    ['a plain value', () => parameter.number(3 as never)],
  ])('%s', (_, use) => {
    expect(use).toThrowError(expect.objectContaining({ code: 'E_PARAMETER_DECLARATION' }))
  })

  it('two fields of one flag', () => {
    class Flow extends Train {
      readonly batch_size = parameter.number({ default: 1 })
    }
    expect(complaint(Flow, 'E_PARAMETER_DECLARATION').what).toContain('--batch-size')
  })
})
