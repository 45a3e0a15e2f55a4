import { describe, expect, it } from 'vitest'
import { withCurrent } from '../../src/current/state.js'
import { codecsOf, pluginsOf, stepsOf } from '../../src/flow/metadata.js'
import { current, FlowSpec, step } from '../../src/index.js'
import { defineStepDecorator } from '../../src/plugin.js'
import { complaint, complaintsOf, describeHere } from '../flow/helpers.js'

const codec = {
  name: 'x',
  matches: (_: unknown): _ is never => false,
  encode: () => new Uint8Array(),
  decode: () => null,
}
const all = defineStepDecorator<{ readonly port?: number; readonly big?: bigint; readonly live?: () => void }>({
  name: 'everywhere',
  apiVersion: 1,
  options: ['port', 'big', 'live'],
  needs: ({ port }) => {
    if (port === 0) throw new Error('port 0 is none')
    return { body: 'all', ports: ['main'] }
  },
  codecs: [codec],
})
const other = defineStepDecorator({ name: 'other', apiVersion: 1, namespace: 'shared', codecs: [codec] })
const control = defineStepDecorator({
  name: 'boss',
  apiVersion: 1,
  namespace: 'shared',
  needs: () => ({ body: 'control' }),
})
const quiet = defineStepDecorator({ name: 'quiet', apiVersion: 1, needs: () => ({ gang: false }) })

abstract class Base extends FlowSpec {
  @step start() {
    this.next(this.train, { numParallel: 2 })
  }
  @step train() {
    this.next(this.join)
  }
  @step join(_inputs: unknown) {
    this.next(this.end)
  }
  @step end() {}
}

describe('a plugin on a step', () => {
  class Flow extends Base {
    @all({ port: 1, big: 5n, live: () => {} })
    @quiet()
    @other()
    @step
    override train() {
      this.next(this.join)
    }
  }

  it('is in the description, with needs and options as plain data, and makes the step a gang', () => {
    const train = describeHere(Flow).steps.find(({ name }) => name === 'train')!
    expect(train.gang).toEqual({})
    expect(train.plugins).toEqual([
      { name: 'everywhere', options: { port: 1, big: '5' }, needs: { body: 'all', ports: ['main'] } },
      { name: 'quiet', options: {}, needs: { gang: false } },
      { name: 'other', namespace: 'shared', options: {}, needs: {} },
    ])
    expect(describeHere(Flow).complaints).toEqual([])
  })

  it('is given to the body live, the outermost first, its codecs once for the whole flow', () => {
    const uses = pluginsOf(stepsOf(Flow).get('train')!)
    expect(uses.map(({ plugin }) => plugin.name)).toEqual(['everywhere', 'quiet', 'other'])
    expect(uses[0]!.options).toMatchObject({ live: expect.any(Function) })
    expect(codecsOf(Flow)).toEqual([codec])
  })

  it('two that need the body on all may stand together, otherwise they are refused', () => {
    class Two extends Base {
      @all()
      @control()
      @step
      override train() {
        this.next(this.join)
      }
    }
    expect(complaintsOf(Two)).toEqual(['E_GANG_PLUGINS train'])
    expect(complaint(Two, 'E_GANG_PLUGINS').what).toContain('@boss runs the body on the control alone')
  })

  it('two that want one namespace, or one twice, are refused', () => {
    class Clash extends Base {
      @other()
      @all()
      @all()
      @step
      override train() {
        this.next(this.join)
      }
    }
    expect(complaint(Clash, 'E_DECORATOR_TWICE').what).toBe('train has @everywhere twice')
    class Shared extends Base {
      @other()
      @control()
      @step
      override train() {
        this.next(this.join)
      }
    }
    expect(complaintsOf(Shared)).toContain('E_DECORATOR_TWICE train')
  })

  it('that refuses its options refuses the flow', () => {
    class Bad extends Base {
      @all({ port: 0 })
      @step
      override train() {
        this.next(this.join)
      }
    }
    expect(complaint(Bad, 'E_PLUGIN_NEEDS')).toMatchObject({
      step: 'train',
      what: '@everywhere on train: port 0 is none',
    })
  })

  it('with a need that this core does not know refuses the flow', () => {
    const newer = defineStepDecorator({
      name: 'newer',
      apiVersion: 1,
      needs: () => ({ body: 'all', roles: { ps: 1, worker: 'rest' } }) as object,
    })
    class Ahead extends Base {
      @newer()
      @step
      override train() {
        this.next(this.join)
      }
    }
    const { what } = complaint(Ahead, 'E_PLUGIN_NEEDS')
    expect(what).toMatch(/^@newer on train needs 'roles' of the gang, and this core knows only body, executables/)
  })

  it('makes a gang decorator without a gang a complaint', () => {
    class Lone extends Base {
      @all()
      @step
      override join(_inputs: unknown) {
        this.next(this.end)
      }
    }
    expect(complaintsOf(Lone)).toEqual(['E_GANG_SPLIT join'])
  })
})

describe('defineStepDecorator', () => {
  it('refuses another version of the contract, and core’s own namespaces', () => {
    expect(() => defineStepDecorator({ name: 'old', apiVersion: 2 as 1 })).toThrowError(/version 2/)
    expect(() => defineStepDecorator({ name: 'greedy', apiVersion: 1, namespace: 'run' })).toThrowError(
      expect.objectContaining({ code: 'E_PLUGIN_NAMESPACE' }),
    )
  })

  it('refuses unknown options by listing the valid ones, and use without the call', () => {
    expect(() => all({ prt: 1 } as never)).toThrowError(/@everywhere has no option 'prt'.*port, big, live/s)
    expect(() => (all as unknown as (...args: unknown[]) => void)(() => {}, { kind: 'method' })).toThrowError(
      expect.objectContaining({ code: 'E_DECORATOR_BARE' }),
    )
  })
})

describe('current', () => {
  const state = {
    flow: 'F',
    run: '1',
    step: 'train',
    task: '2',
    attempt: 0,
    user: 'me',
    tags: ['t'],
    temp: '/tmp',
    namespaces: new Map<string, unknown>(),
    plugins: ['quiet'],
  }

  it('answers in a step and in what it starts, also several at once', async () => {
    const seen = await Promise.all(
      ['1', '2'].map((run) =>
        withCurrent({ ...state, run }, async () => {
          await new Promise((resolve) => setTimeout(resolve, 2))
          return current.run
        }),
      ),
    )
    expect(seen).toEqual(['1', '2'])
  })

  it('is a named error outside of a step', () => {
    expect(() => current.run).toThrowError(expect.objectContaining({ code: 'E_CURRENT_OUTSIDE' }))
  })

  it('names the step’s plugins when a namespace is missing', () => {
    const read = () => withCurrent(state, () => (current as unknown as { shared: unknown }).shared)
    expect(read).toThrowError(expect.objectContaining({ code: 'E_CURRENT_NAMESPACE_MISSING', step: 'train' }))
    expect(read).toThrowError(/its plugins are: quiet/)
    const given = { ...state, namespaces: new Map([['shared', 7]]) }
    expect(withCurrent(given, () => (current as unknown as { shared: unknown }).shared)).toBe(7)
  })

  it('has no gang elsewhere, and says how to get one', () => {
    expect(() => withCurrent(state, () => current.parallel)).toThrowError(/numParallel: 4/)
  })
})
