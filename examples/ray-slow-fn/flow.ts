import { current, FlowSpec, type Inputs, parameter, step } from '@gangflow/core'
import { ray } from '@gangflow/plugin-ray'

/** A slow function mapped over 512 jobs by Ray, on a cluster that the gang forms. */
export default class RaySlowFn extends FlowSpec {
  readonly members = parameter.number({ default: 2, help: 'Ray nodes' })
  result!: { jobs: number; sum: number; nodes: string[]; seconds: number }

  @step start() {
    this.next(this.map, { numParallel: this.members })
  }

  @ray()
  @step
  async map() {
    const nodes = await current.ray.nodes()
    console.log(
      `${nodes.length} Ray nodes after ${(current.ray.startedMs / 1000).toFixed(1)} s at ${current.ray.address}`,
    )
    const { stdout } = await current.ray.run({ entrypoint: 'slow_fn.py' })
    this.result = JSON.parse(stdout.trim().split('\n').at(-1)!)
    this.next(this.join)
  }

  @step join(inputs: Inputs<RaySlowFn, 'map'>) {
    this.result = inputs.control.result
    this.next(this.end)
  }

  @step end() {
    const { jobs, nodes, seconds } = this.result
    console.log(`${jobs} jobs on nodes ${nodes.join(', ')} in ${seconds} s`)
  }
}
