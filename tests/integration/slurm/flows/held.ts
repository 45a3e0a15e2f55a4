import { readFileSync } from 'node:fs'
import { current, FlowSpec, type Inputs, parallel, step } from '@gangflow/core'

/** A gang whose members wait for whatever is done to them; started again it ends at once. */
export default class Held extends FlowSpec {
  @step start() {
    this.next(this.wait, { numParallel: 3 })
  }

  @parallel()
  @step
  async wait() {
    const { checkpoint, isControl, nodeIndex } = current.parallel
    const before = await checkpoint.load<number>('epoch')
    const warned = await checkpoint.load<string>('warned')
    await current.parallel.barrier()
    if (isControl) await checkpoint.save('epoch', current.parallel.epoch)
    await current.parallel.barrier()
    if (before !== undefined) console.log(`after epoch ${before} comes epoch ${current.parallel.epoch}, ${warned}`)
    current.onPreempt(async ({ cause, saved }) => {
      // What a program of another language sees.
      const seen = JSON.parse(readFileSync(process.env['GANGFLOW_PREEMPT_FILE']!, 'utf8')) as { again: boolean }
      console.log(`node ${nodeIndex} is warned: ${cause}, ${seen.again}`)
      if (isControl) await checkpoint.save('warned', `saved at the warning (${cause})`)
      await current.parallel.barrier()
      saved()
    })
    console.log(`node ${nodeIndex} waits, body ${process.pid}`)
    await new Promise((resolve) => setTimeout(resolve, before === undefined ? 150_000 : 0))
    this.next(this.end)
  }

  @step end(inputs: Inputs<Held>) {
    console.log(inputs.length)
  }
}
