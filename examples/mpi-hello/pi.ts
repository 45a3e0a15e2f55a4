import { rmSync } from 'node:fs'
import { current, FlowSpec, type Inputs, parameter, resources, step } from '@gangflow/core'
import { mpi } from '@gangflow/plugin-mpi'

/** Compiles a C program on the control, takes it to every member, and runs it on all of them. */
export default class MpiPi extends FlowSpec {
  readonly intervals = parameter.number({ default: 10_000_000, help: 'pieces of the integral' })
  pi!: number

  @step start() {
    this.next(this.integrate, { numParallel: 4 })
  }

  @mpi()
  @resources({ cpu: 2 })
  @step
  async integrate() {
    const { out } = await current.mpi.cc('pi.c', { out: `build/pi-${current.run}`, flags: ['-O2', '-lm'] })
    const { path } = await current.mpi.broadcastFile(out)
    const { stdout, np } = await current.mpi.run({ program: [out], programArgs: [this.intervals] })
    this.pi = Number(stdout)
    const off = Math.abs(this.pi - Math.PI)
    console.log(`pi is ${this.pi} by ${np} ranks of ${path}, off by ${off.toExponential(0)}`)
    if (!(off < 1e-10)) throw new Error(`pi is not ${stdout}`)
    rmSync(out)
    this.next(this.join)
  }

  @step join(inputs: Inputs<MpiPi>) {
    this.pi = inputs.control.pi
    this.next(this.end)
  }

  @step end() {}
}
