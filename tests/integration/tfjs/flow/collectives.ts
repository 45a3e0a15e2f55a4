import { current, FlowSpec, type Inputs, parameter, step } from '@gangflow/core'
import { collectives } from '@gangflow/plugin-tfjs/collectives'

/** Sums over a gang; on `die` node 1 is killed in the middle of them. */
export default class Sums extends FlowSpec {
  readonly die = parameter.boolean({ default: false })
  sums!: number[]
  all!: number[][]

  @step start() {
    this.next(this.sum, { numParallel: 3 })
  }

  @step async sum() {
    const { nodeIndex } = current.parallel
    const first = await collectives(current)
    const second = await collectives(current, { timeout: '30s' })
    const big = first.buffer('float32', 1_000_000).fill(nodeIndex + 1)
    this.sums = [
      first.allReduceSync(Float32Array.of(nodeIndex + 1))[0]!,
      (await second.allReduce(Int32Array.of(nodeIndex + 1), { reduction: 'max' }))[0]!,
      (await first.allReduce(big))[999_999]!,
    ]
    await second.close()
    if (this.die) {
      setTimeout(() => nodeIndex === 1 && process.kill(process.pid, 'SIGKILL'), 200)
      for (;;) {
        first.allReduceSync(big)
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    await first.close()
    this.next(this.join)
  }

  @step join(inputs: Inputs<Sums>) {
    this.all = inputs.map(({ sums }) => sums)
    this.next(this.end)
  }

  @step end() {}
}
