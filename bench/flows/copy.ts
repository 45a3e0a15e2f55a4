import { homedir } from 'node:os'
import { join } from 'node:path'
import { current, FlowSpec, type Inputs, parallel, step } from '@gangflow/core'

/** One file of the control's host to the others. */
export default class Copy extends FlowSpec {
  @step start() {
    this.next(this.send, { numParallel: 4 })
  }
  @parallel()
  @step
  async send() {
    const { isControl, barrier, copy } = current.parallel
    await barrier()
    if (isControl) {
      const begun = performance.now()
      await copy(join(homedir(), 'big.bin'), { to: join(homedir(), 'copied.bin') })
      console.log(`copied in ${(performance.now() - begun).toFixed(0)} ms`)
    }
    await barrier()
    this.next(this.join)
  }
  @step join(_inputs: Inputs<Copy>) {
    this.next(this.end)
  }
  @step end() {}
}
