import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Client } from '../../../packages/core/src/index.js'
import { processesOf } from '../../support/gang.js'
import { type Ended, SshProject } from '../../support/ssh-project.js'

const page = readFileSync(new URL('../../../docs/guide/engines.md', import.meta.url), 'utf8')
const code = (language: string) => new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(page)![1]!
const plugin = code('ts')

const flow = `import { current, FlowSpec, type Inputs, parameter, step } from '@gangflow/core'
import { queue } from './queue.js'

export default class Tutorial extends FlowSpec {
  readonly last = parameter.string({ default: '7' })
  out!: string
  @step start() { this.next(this.work, { numParallel: 2 }) }
  @queue()
  @step async work() {
    this.out = await current.queue.run('squares.py', this.last)
    this.next(this.join)
  }
  @step join(inputs: Inputs<Tutorial>) {
    this.out = inputs.control.out
    this.next(this.end)
  }
  @step end() {}
}
`
const squares = `import json, sys, time
from queue_node import ask

address, last = sys.argv[1:3]
tasks = list(range(40)) + [json.loads(last) if last.isdigit() else last]
ask(address, tasks=tasks)
while len(ask(address)["results"]) < len(tasks):
    time.sleep(0.1)
results = ask(address)["results"]
print(sum(value for _, value in results), sorted({node for node, _ in results}))
`

let project: SshProject
let well: Ended
let badly: Ended

beforeAll(async () => {
  project = new SshProject({
    'queue.ts': plugin,
    'queue_node.py': code('python'),
    'squares.py': squares,
    'flow.ts': flow,
  })
  well = await project.start(['run', 'flow.ts']).ended
  badly = await project.start(['run', 'flow.ts', '--last', 'die']).ended
})
afterAll(() => project?.remove())

it('the guide’s plugin has fewer than 100 lines, forms its cluster and works on all nodes', async () => {
  expect(plugin.split('\n').length).toBeLessThan(100)
  expect(well.code, well.out).toBe(0)
  const run = (await new Client(project.store).runs('Tutorial')).find(({ status }) => status === 'done')
  expect(run!.artifacts['out']).toBe(`${(39 * 40 * 79) / 6 + 49} [0, 1]\n`)
})

it('a worker that ends is told of with its last line, the driver ends with it, and nothing is left', () => {
  expect(badly.code, badly.out).toBe(1)
  expect(badly.out).toMatch(/queue-node[01] on node [01] \(.+\) ended with exit code 1: this worker was told to die/)
  expect(processesOf(project.folder)).toEqual([])
})
