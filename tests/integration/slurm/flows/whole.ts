import { slurm } from '@gangflow/backend-slurm'
import { current, FlowSpec, type Inputs, parallel, step } from '@gangflow/core'

/** Ordinary tasks, a foreach and a gang; each says where it ran. */
export default class Whole extends FlowSpec {
  items!: number[]
  square!: number
  squares!: number[]
  places!: (string | undefined)[]

  @step start() {
    this.items = [1, 2, 3, 4, 5]
    this.next(this.each, { foreach: 'items' })
  }

  @step each(item: number) {
    this.square = item ** 2
    console.log(`square ${this.square} in task ${process.env['SLURM_ARRAY_TASK_ID']}`)
    this.next(this.gather)
  }

  @step gather(inputs: Inputs<Whole>) {
    this.squares = inputs.map(({ square }) => square)
    this.next(this.together, { numParallel: 4 })
  }

  @parallel()
  @slurm({ time: '10m' })
  @step
  async together() {
    this.places = await current.parallel.allGather(process.env['SLURMD_NODENAME'])
    this.next(this.join)
  }

  @step join(inputs: Inputs<Whole>) {
    this.places = inputs[0]!.places
    this.squares = inputs[0]!.squares
    this.next(this.end)
  }

  @step end() {
    console.log(`squares ${this.squares.join(' ')}, members on ${this.places.join(' ')}`)
  }
}
