import { describe, expect, it } from 'vitest'
import * as core from '../../src/index.js'
import { decorate, FlowSpec, step } from '../../src/index.js'
import { complaint, complaintsOf, describeHere } from '../flow/helpers.js'

// biome-ignore lint/suspicious/noExplicitAny: wrong use is what is tested
const { catchError, environment, parallel, resources, retry, timeout } = core as any

abstract class Base extends FlowSpec {
  @step end() {}
}

describe('what decorators say', () => {
  class Flow extends Base {
    items = [1]
    @retry({ times: 2, delay: '30s', backoff: 3 })
    @catchError({ artifact: 'failure' })
    @timeout('1h30m')
    @resources({ cpu: 0.5, gpu: 2, memory: 4096 })
    @environment({ vars: { OMP_NUM_THREADS: '4' } })
    @step
    start() {
      this.next(this.train)
    }
    @retry()
    @catchError()
    @step
    train() {
      this.next(this.end)
    }
  }
  const [end, start, train] = describeHere(Flow).steps

  it('is in the description', () => {
    expect(start).toMatchObject({
      retry: { times: 2, delayMs: 30_000, backoff: 3 },
      catchError: { artifact: 'failure' },
      timeoutMs: 5_400_000,
      resources: { cpu: 0.5, gpu: 2, memory: 4096 },
      environment: { OMP_NUM_THREADS: '4' },
    })
    expect(train).toMatchObject({ retry: { times: 3, delayMs: 1000, backoff: 2 }, catchError: {} })
    expect(end).toMatchObject({ resources: {}, environment: {}, plugins: [] })
    expect(end).not.toHaveProperty('retry')
  })

  it('belongs to the class that says it: an override begins anew', () => {
    class Sub extends Flow {
      @step override start() {
        this.next(this.train)
      }
    }
    const steps = Object.fromEntries(describeHere(Sub).steps.map((one) => [one.name, one]))
    expect(steps['start']).not.toHaveProperty('retry')
    expect(steps['train']).toHaveProperty('retry')
    expect(describeHere(Flow).steps[1]).toHaveProperty('retry')
  })
})

describe('wrong options are refused where they are written', () => {
  it.each<[string, () => unknown, RegExp]>([
    [
      'retry',
      () => retry({ time: 2 }),
      /no option 'time'.*valid options: times, user, infrastructure, timeout, preempted, delay, backoff/s,
    ],
    ['retry', () => retry({ times: -1 }), /times to be a whole number >= 0, not -1/],
    ['retry', () => retry({ times: '2' }), /not '2'/],
    ['retry', () => retry({ backoff: 0 }), /backoff to be a number > 0/],
    ['retry', () => retry(3), /takes an object of options, not 3/],
    ['catchError', () => catchError({ artifact: 7 }), /the name of a field/],
    ['timeout', () => timeout(0), /above 0/],
    ['resources', () => resources({ cpus: 1 }), /valid options: cpu, gpu, memory/],
    ['resources', () => resources({ gpu: 1.5 }), /gpu to be a whole number/],
    ['resources', () => resources({ memory: '4GiB' }), /memory \(MiB\)/],
    ['environment', () => environment({ vars: { A: 1 } }), /needs A to be a string/],
    ['environment', () => environment({ vars: { 'A=B': '' } }), /named 'A=B'/],
    ['environment', () => environment({}), /vars to be an object/],
    ['parallel', () => parallel({ minNodes: 0 }), /minNodes to be a whole number >= 1/],
    ['parallel', () => parallel({ timeouts: { jion: '2m' } }), /no timeout 'jion'.*valid options: provision, join/s],
    ['parallel', () => parallel({ timeouts: { lease: '10ms' } }), /timeout lease to be at least 500 ms, not '10ms'/],
    ['parallel', () => parallel({ timeouts: '2m' }), /timeouts to be an object such as/],
    ['retry', () => retry({ infrastructure: 1.5 }), /infrastructure to be a whole number >= 0/],
  ])('@%s', (name, use, message) => {
    expect(use).toThrowError(expect.objectContaining({ code: 'E_DECORATOR_OPTION' }))
    expect(use).toThrowError(message)
    expect(use).toThrowError(`@${name}`)
  })

  it('a duration that is none', () => {
    expect(() => timeout('soon')).toThrowError(expect.objectContaining({ code: 'E_DURATION' }))
    expect(() => retry({ delay: 'soon' })).toThrowError(expect.objectContaining({ code: 'E_DURATION' }))
  })

  it.each([retry, catchError, timeout, resources, environment, parallel])('without the call: %o', (factory) => {
    const use = () =>
      class Flow extends Base {
        @(factory as (value: unknown, context: unknown) => void)
        start() {}
      }
    expect(use).toThrowError(expect.objectContaining({ code: 'E_DECORATOR_BARE' }))
    expect(() => (factory as (...args: unknown[]) => unknown)(Base.prototype, 'start', {})).toThrowError(
      expect.objectContaining({ code: 'E_DECORATOR_BARE' }),
    )
  })
})

describe('decorators in the wrong place', () => {
  const misplaced = expect.objectContaining({ code: 'E_DECORATOR_PLACE' })
  const any = step as unknown as (value: unknown, context: unknown) => void

  it('fields, getters, static and private methods, classes', () => {
    expect(
      () =>
        class Flow extends Base {
          @any field = 1
        },
    ).toThrowError(misplaced)
    expect(
      () =>
        class Flow extends Base {
          @any get getter() {
            return 1
          }
        },
    ).toThrowError(misplaced)
    expect(
      () =>
        class Flow extends Base {
          @any static still() {}
        },
    ).toThrowError(misplaced)
    expect(
      () =>
        class Flow extends Base {
          @any #hidden() {}
        },
    ).toThrowError(misplaced)
    expect(() => {
      @any
      class Flow extends Base {}
      return Flow
    }).toThrowError(misplaced)
  })

  it('a method that is no step', () => {
    class Flow extends Base {
      @step start() {
        this.next(this.end)
      }
      @retry()
      @timeout('1s')
      helper() {}
    }
    expect(complaint(Flow, 'E_STEP_UNMARKED')).toMatchObject({
      step: 'helper',
      what: 'helper has @timeout, @retry and no @step',
    })
  })

  it('twice', () => {
    class Flow extends Base {
      @retry()
      @retry()
      @step
      start() {
        this.next(this.end)
      }
    }
    expect(complaintsOf(Flow)).toEqual(['E_DECORATOR_TWICE start'])
  })

  it('@parallel without numParallel, too many minNodes, @catchError on a split', () => {
    class Flow extends Base {
      items = [1]
      @parallel()
      @catchError()
      @step
      start() {
        this.next(this.fit, { foreach: 'items' })
      }
      @parallel()
      @step
      fit() {
        this.next(this.spread)
      }
      @step spread() {
        this.next(this.gang, { numParallel: 2 })
      }
      @parallel({ minNodes: 3 })
      @step
      gang() {
        this.next(this.join)
      }
      @step join(_inputs: unknown) {
        this.next(this.joinItems)
      }
      @step joinItems(_inputs: unknown) {
        this.next(this.end)
      }
    }
    expect(complaintsOf(Flow)).toEqual(['E_CATCH_SPLIT start', 'E_GANG_SPLIT fit', 'E_GANG_MIN_NODES gang'])
  })
})

describe('decorate()', () => {
  class Flow extends FlowSpec {
    start() {
      this.next(this.end)
    }
    end() {}
    inherited() {}
  }

  it('makes steps of methods, with decorators in the order of writing', () => {
    class Own extends FlowSpec {
      start() {
        this.next(this.end)
      }
      end() {}
    }
    decorate(Own, { start: [retry({ times: 1 }), step], end: [] })
    expect(complaintsOf(Own)).toEqual([])
    expect(describeHere(Own).steps[0]!.retry!.times).toBe(1)
  })

  it.each<[string, () => void, string]>([
    ['an unknown method', () => decorate(Flow, { strat: [] } as never), 'E_DECORATOR_PLACE'],
    ['an inherited method', () => decorate(class Sub extends Flow {}, { inherited: [] }), 'E_DECORATOR_PLACE'],
    ['no decorator', () => decorate(Flow, { start: ['retry'] } as never), 'E_DECORATOR_PLACE'],
    ['a factory without its call', () => decorate(Flow, { start: [retry] }), 'E_DECORATOR_PLACE'],
    ['no list', () => decorate(Flow, { start: retry() } as never), 'E_DECORATOR_PLACE'],
    ['no flow', () => decorate(class {} as never, {}), 'E_NOT_A_FLOW'],
  ])('refuses %s', (_, use, code) => {
    expect(use).toThrowError(expect.objectContaining({ code }))
  })
})
