import { current, FlowSpec, type Inputs, parameter, step } from '@gangflow/core'
import { type Launcher, type TorchResult, torchrun } from '@gangflow/plugin-torchrun'

/** Runs a script on a gang, and keeps what came of it. */
export default class Torch extends FlowSpec {
  readonly script = parameter.string({ default: 'behave.py' })
  readonly args = parameter.json<string[]>({ default: [] })
  readonly launcher = parameter.enum(['direct', 'torchrun', 'prefork'], { default: 'direct' })
  readonly nproc = parameter.number({ default: 1 })
  readonly members = parameter.number({ default: 4 })

  result!: TorchResult
  torchOutput!: Record<string, Uint8Array>

  @step start() {
    this.next(this.train, { numParallel: this.members })
  }

  @torchrun({ startTimeout: '2m' })
  @step
  async train() {
    const launcher: Launcher = this.launcher
    const call = { entrypoint: this.script, args: this.args, launcher, nprocPerNode: this.nproc }
    const planned = current.torch.plan(call)
    if (planned.launcher !== launcher) throw new Error('the plan has another launcher')
    if (this.script === 'nobody-waits.py') void current.torch.run({ ...call, entrypoint: 'behave.py' })
    else if (this.script === 'control-only.py' && !current.parallel.isControl) console.log('this one calls nothing')
    else this.result = await current.torch.run(call)
    this.next(this.join)
  }

  @step join(inputs: Inputs<Torch>) {
    this.result = inputs.control.result
    this.next(this.end)
  }

  @step end() {}
}
