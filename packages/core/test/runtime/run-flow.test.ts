import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import {
  catchError,
  current,
  environment,
  FlowSpec,
  type Inputs,
  parallel,
  parameter,
  retry,
  step,
  timeout,
} from '../../src/index.js'
import { defineStepDecorator } from '../../src/plugin.js'
import { runFlow } from '../../src/testing.js'

class Sums extends FlowSpec {
  readonly upTo = parameter.number({ default: 3 })
  items: number[] = []
  value = 0
  failure!: { message: string } | undefined
  table = new Map<string, number>()

  @step start() {
    this.items = Array.from({ length: this.upTo }, (_, index) => index + 1)
    this.next(this.square, this.shaky)
  }

  @step square() {
    this.next(this.one, { foreach: 'items' })
  }

  @retry({ times: 1, delay: 0 })
  @environment({ vars: { FLAVOUR: 'sweet' } })
  @step
  async one(item: number) {
    if (item === 2 && current.attempt === 0) throw new Error('again')
    await pause(1)
    expect(process.env['FLAVOUR']).toBe('sweet')
    this.value = item ** 2
    this.next(this.sum)
  }

  @step sum(inputs: Inputs<Sums, 'one'>) {
    this.value = inputs.reduce((total, input) => total + input.value, 0)
    this.next(this.meet)
  }

  @catchError({ artifact: 'failure' })
  @step
  shaky() {
    if (this.upTo > 0) throw new RangeError('too shaky')
    this.next(this.meet)
  }

  @step meet(inputs: Inputs<Sums, 'sum' | 'shaky'>) {
    this.value = inputs.sum.value
    this.failure = inputs.shaky.failure
    this.table = new Map([['value', this.value]])
    this.next(this.end)
  }

  @step end() {}
}

const exactly = new TypeError('exactly this one')

class Faulty extends FlowSpec {
  readonly slow = parameter.boolean({ default: false })

  @timeout('50ms')
  @step
  async start() {
    if (this.slow) await pause(60_000, undefined, { ref: false })
    throw exactly
    // biome-ignore lint/correctness/noUnreachable: the graph reads it
    this.next(this.end)
  }

  @step end() {}
}

class Ganged extends FlowSpec {
  @step start() {
    this.next(this.many, { numParallel: 2 })
  }

  @parallel()
  @step
  many() {
    this.next(this.join)
  }

  @step join(_inputs: Inputs<Ganged>) {
    this.next(this.end)
  }

  @step end() {}
}

describe('runFlow', () => {
  it('runs a whole flow in this process, with its artifacts, retries and caught errors', async () => {
    const { artifacts, tasks } = await runFlow(Sums, { parameters: { upTo: 4 } })
    expect(artifacts.value).toBe(30)
    expect(artifacts.table).toEqual(new Map([['value', 30]]))
    expect(artifacts.failure?.message).toMatch(/too shaky/)
    const squares = tasks.filter((task) => task.step === 'one').map((task) => [task.artifacts.value, task.attempt])
    // The one that was tried again came last.
    expect(squares).toEqual([
      [1, 0],
      [9, 0],
      [16, 0],
      [4, 1],
    ])
    expect(tasks.find((task) => task.step === 'shaky')?.caught).toBe(true)
    expect(process.env['FLAVOUR']).toBeUndefined()
  })

  it('rejects with what the step threw, itself', async () => {
    await expect(runFlow(Faulty)).rejects.toBe(exactly)
  })

  it('gives up a step at its timeout, and a run by its signal', async () => {
    await expect(runFlow(Faulty, { parameters: { slow: true } })).rejects.toMatchObject({ code: 'E_STEP_TIMEOUT' })
    await expect(runFlow(Sums, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'E_RUN_CANCELLED' })
  })

  it('refuses unknown parameters and gang steps by name', async () => {
    await expect(runFlow(Sums, { parameters: { upTwo: 1 } as never })).rejects.toMatchObject({
      code: 'E_PARAMETER_UNKNOWN',
    })
    await expect(runFlow(Ganged)).rejects.toMatchObject({ code: 'E_TEST_GANG', step: 'many' })
  })

  it('refuses a step with a plugin, and names it and the other ways', async () => {
    const timed = defineStepDecorator({ name: 'timed', apiVersion: 1, needs: () => ({ gang: false }) })
    class Timed extends FlowSpec {
      @timed()
      @step
      start() {
        this.next(this.end)
      }
      @step end() {}
    }
    await expect(runFlow(Timed)).rejects.toMatchObject({
      code: 'E_TEST_GANG',
      what: expect.stringMatching(/^step 'start' has @timed: /),
      fix: expect.stringMatching(/run\(\).*runStep\(\)/),
    })
  })
})
