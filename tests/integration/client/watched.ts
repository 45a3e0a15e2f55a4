import { current, FlowSpec, type Inputs, parallel, parameter, retry, step } from '@gangflow/core'

/** Leaves something of everything that the Client reads. */
export default class Watched extends FlowSpec {
  readonly scale = parameter.number({ default: 2 })
  readonly hang = parameter.boolean({ default: false })
  items = ['a', 'b', 'c']
  sizes!: number[]
  weights!: Float64Array
  rank!: number
  ranks!: number[]

  @retry({ times: 1, delay: '1ms' })
  @step
  start() {
    if (current.attempt === 0) throw new RangeError('not yet')
    this.weights = new Float64Array(200_000).fill(this.scale)
    this.next(this.item, { foreach: 'items', reuse: true })
  }

  @step item(item: string) {
    console.log(`item ${item} on stdout`)
    console.error(`item ${item} on stderr`)
    this.sizes = [item.length]
    this.next(this.join)
  }

  @step join(inputs: Inputs<Watched, 'item'>) {
    this.sizes = inputs.flatMap((input) => input.sizes)
    this.mergeArtifacts(inputs, { exclude: ['sizes'] })
    this.next(this.together, { numParallel: 2 })
  }

  @parallel()
  @step
  async together() {
    this.rank = current.parallel.nodeIndex
    process.stdout.write(`node ${this.rank} begins\n`)
    await current.parallel.barrier()
    if (this.rank === 0) await current.parallel.exec('all', ['sh', '-c', 'echo from a command'])
    this.next(this.meet)
  }

  @step meet(inputs: Inputs<Watched, 'together'>) {
    this.ranks = inputs.map((input) => input.rank)
    this.mergeArtifacts(inputs, { exclude: ['rank', 'ranks'] })
    this.next(this.end)
  }

  @step async end() {
    for (let n = 0; n < 2000; n++) console.log(`line ${n}`)
    process.stdout.write('the last words, without a line end')
    if (this.hang) await new Promise(() => setInterval(() => {}, 1000))
  }
}
