import { current, FlowSpec, type Inputs, parameter, step } from '@gangflow/core'
import { dask } from '@gangflow/plugin-dask'

/** A slow function mapped over 512 jobs by Dask, on a cluster that the gang forms. */
export default class DaskSlowFn extends FlowSpec {
  readonly members = parameter.number({ default: 2, help: 'Dask workers' })
  result!: { jobs: number; sum: number; nodes: string[]; seconds: number }

  @step start() {
    this.next(this.map, { numParallel: this.members })
  }

  @dask()
  @step
  async map() {
    console.log(
      `${this.members} Dask workers after ${(current.dask.startedMs / 1000).toFixed(1)} s at ${current.dask.address}`,
    )
    const { stdout } = await current.dask.run({ entrypoint: 'slow_fn.py' })
    this.result = JSON.parse(stdout.trim().split('\n').at(-1)!)
    this.next(this.join)
  }

  @step join(inputs: Inputs<DaskSlowFn, 'map'>) {
    this.result = inputs.control.result
    this.next(this.end)
  }

  @step end() {
    const { jobs, nodes, seconds } = this.result
    console.log(`${jobs} jobs on nodes ${nodes.join(', ')} in ${seconds} s`)
  }
}
