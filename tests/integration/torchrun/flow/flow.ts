import { once } from 'node:events'
import { createServer } from 'node:net'
import { current, FlowSpec, type Inputs, parameter, step } from '@gangflow/core'
import type { GangContext } from '@gangflow/core/plugin'
import { type Launcher, type TorchResult, torchrun } from '@gangflow/plugin-torchrun'

/** Runs a script on a gang, and keeps what came of it. */
export default class Torch extends FlowSpec {
  readonly script = parameter.string({ default: 'behave.py' })
  readonly args = parameter.json<string[]>({ default: [] })
  readonly launcher = parameter.enum(['direct', 'torchrun', 'prefork'], { default: 'direct' })
  readonly nproc = parameter.number({ default: 1 })
  readonly members = parameter.number({ default: 4 })
  /** Somebody else listens at the port that is drawn first. */
  readonly taken = parameter.boolean({ default: false })

  result!: TorchResult
  torchOutput!: Record<string, Uint8Array>

  @step start() {
    this.next(this.train, { numParallel: this.members })
  }

  @torchrun({ startTimeout: '2m' })
  @step
  async train() {
    const launcher: Launcher = this.launcher
    const thief = createServer()
    let stolen = 0
    if (this.taken && current.parallel.isControl) {
      // By this name the plugin draws the first port of its first call.
      stolen = (await (current.parallel as GangContext).reservePort('torch-1-0')).port
      await once(thief.listen(stolen, '::'), 'listening')
    }
    const call = { entrypoint: this.script, args: this.args, launcher, nprocPerNode: this.nproc }
    const planned = current.torch.plan(call)
    if (planned.launcher !== launcher) throw new Error('the plan has another launcher')
    if (this.script === 'nobody-waits.py') void current.torch.run({ ...call, entrypoint: 'behave.py' })
    else if (this.script === 'control-only.py' && !current.parallel.isControl) console.log('this one calls nothing')
    else this.result = await current.torch.run(call)
    thief.close()
    if (stolen === this.result?.masterPort) throw new Error(`the ranks met at port ${stolen}, which is another's`)
    this.next(this.join)
  }

  @step join(inputs: Inputs<Torch>) {
    this.result = inputs.control.result
    this.next(this.end)
  }

  @step end() {}
}
