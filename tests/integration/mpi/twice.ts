import { current, FlowSpec, type Inputs, resources, retry, step } from '@gangflow/core'
import { mpi } from '@gangflow/plugin-mpi'

/** One @mpi step after the other; the second, on all members' bodies, fails at its first attempt. */
export default class Twice extends FlowSpec {
  said!: unknown
  all!: unknown[]

  @step start() {
    this.next(this.first, { numParallel: 2 })
  }

  @mpi()
  @resources({ cpu: 1 })
  @step
  async first() {
    await current.mpi.run({ program: './behave hello' })
    this.next(this.between)
  }

  @step between(_inputs: Inputs<Twice, 'first'>) {
    this.next(this.second, { numParallel: 2 })
  }

  @mpi({ body: 'all' })
  @retry({ times: 1, delay: 0 })
  @resources({ cpu: 1 })
  @step
  async second() {
    const { attempt } = current.parallel
    const { np, ranks } = await current.mpi.run({ program: attempt === 0 ? './behave exit 1' : './behave hello' })
    this.said = { attempt, np, nodes: ranks.map(({ node }) => node) }
    this.next(this.join)
  }

  @step join(inputs: Inputs<Twice, 'second'>) {
    this.all = inputs.map(({ said }) => said)
    this.next(this.end)
  }

  @step end() {}
}
