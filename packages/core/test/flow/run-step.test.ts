import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { current, FlowSpec, type Inputs, parameter, step } from '../../src/index.js'
import { defineStepDecorator } from '../../src/plugin.js'
import { runStep } from '../../src/testing.js'

declare module '../../src/index.js' {
  interface CurrentNamespaces {
    readonly fake: { go(): string }
  }
}

const fake = defineStepDecorator<object, 'fake'>({ name: 'faker', apiVersion: 1, namespace: 'fake' })
const temps: string[] = []

class Train extends FlowSpec {
  readonly lr = parameter.number({ default: 0.1 })
  readonly data = parameter.file({ encoding: 'utf8' })
  loss!: number
  items = ['a']
  tag!: string
  @step start() {
    this.next(this.fit, { foreach: 'items' })
  }
  @step async fit(item: string) {
    this.loss = item.length * this.lr
    this.next(this.join)
  }
  @step join(inputs: Inputs<Train>) {
    this.mergeArtifacts(inputs, { exclude: ['loss'] })
    this.loss = Math.max(...inputs.map(({ loss }) => loss))
    this.next(this.train, { numParallel: 2 })
  }
  @fake()
  @step
  async train() {
    temps.push(current.temp)
    await writeFile(join(current.temp, 'x'), this.data)
    this.tag = `${current.flow} ${current.step} ${current.parallel.nodeIndex} ${current.fake.go()}`
    const { parallel } = current
    await parallel.barrier()
    this.loss = (await parallel.allGather(2)).length + (await parallel.broadcast(1))
    await parallel.kv.set('k', 5)
    expect(await parallel.kv.get('k')).toBe(5)
    this.next(this.after)
  }
  @step after(inputs: Inputs<Train>) {
    this.loss = inputs.control.loss
    this.next(this.end)
  }
  @step async end() {
    await current.parallel.exec('all', ['true'])
  }
}

describe('runStep', () => {
  it('runs one step with item, parameters and artifacts', async () => {
    const { artifacts, transition } = await runStep(Train, 'fit', { item: 'abc', parameters: { lr: 2 } })
    expect(artifacts.loss).toBe(6)
    expect(artifacts.items).toEqual(['a'])
    expect(transition).toEqual({ kind: 'next', targets: ['join'] })
  })

  it('gives what was not touched as it came', async () => {
    const loss = 5
    expect((await runStep(Train, 'start', { artifacts: { loss } })).artifacts).toEqual({ loss, items: ['a'] })
  })

  it('runs a join, from a list', async () => {
    const inputs = [
      { loss: 1, tag: 'same' },
      { loss: 3, tag: 'same' },
    ]
    const { artifacts, transition } = await runStep(Train, 'join', { inputs })
    expect(artifacts).toEqual({ loss: 3, items: ['a'], tag: 'same' })
    expect(transition).toEqual({ kind: 'gang', target: 'train', size: 2 })
  })

  it('takes the first input after a gang for the control', async () => {
    expect((await runStep(Train, 'after', { inputs: [{ loss: 7 }, { loss: 8 }] })).artifacts.loss).toBe(7)
  })

  it('runs a gang step alone, with a namespace of the test', async () => {
    const { artifacts } = await runStep(Train, 'train', {
      parameters: { data: new TextEncoder().encode('content') as never },
      current: { parallel: { nodeIndex: 3 }, fake: { go: () => 'gone' } },
    })
    expect(artifacts.tag).toBe('Train train 3 gone')
    expect(artifacts.loss).toBe(2)
    expect(existsSync(temps.at(-1)!)).toBe(false)
  })

  it('names what the test did not give', async () => {
    await expect(runStep(Train, 'train')).rejects.toMatchObject({ code: 'E_PARAMETER_MISSING' })
    const parameters = { data: new Uint8Array() as never }
    await expect(runStep(Train, 'train', { parameters })).rejects.toMatchObject({
      code: 'E_CURRENT_NAMESPACE_MISSING',
      fix: expect.stringContaining('current: { fake'),
    })
    await expect(runStep(Train, 'end', { current: { parallel: {} } })).rejects.toMatchObject({ code: 'E_TEST_GANG' })
    await expect(runStep(Train, 'end')).rejects.toMatchObject({ code: 'E_CURRENT_NO_GANG' })
    await expect(runStep(Train, 'nowhere' as 'end')).rejects.toMatchObject({ code: 'E_STEP_UNKNOWN' })
    await expect(runStep(Train, 'start', { parameters: { lr: '1' as never } })).rejects.toMatchObject({
      code: 'E_PARAMETER_TYPE',
    })
  })

  it('runs several at once, each with its own current', async () => {
    class Flow extends FlowSpec {
      seen!: string
      @step async start() {
        await new Promise((resolve) => setTimeout(resolve, 5))
        this.seen = current.run
        this.next(this.end)
      }
      @step end() {}
    }
    const runs = ['a', 'b', 'c']
    const results = await Promise.all(runs.map((run) => runStep(Flow, 'start', { current: { run } })))
    expect(results.map(({ artifacts }) => artifacts.seen)).toEqual(runs)
  })
})
