import { current, FlowSpec, type Inputs, resources, step } from '@gangflow/core'
import { mpi } from '@gangflow/plugin-mpi'

const cpus = 2
const nodes = 4

/** A program of mpi4py on four nodes with two processes each. */
export default class MpiHello extends FlowSpec {
  @step start() {
    this.next(this.multinode, { numParallel: nodes })
  }

  @mpi()
  @resources({ cpu: cpus })
  @step
  async multinode() {
    await current.mpi.exec({ args: ['-n', cpus * nodes, '--allow-run-as-root'], program: 'python mpi_hello.py' })
    this.next(this.join)
  }

  @step join(_inputs: Inputs<MpiHello>) {
    this.next(this.end)
  }

  @step end() {}
}
