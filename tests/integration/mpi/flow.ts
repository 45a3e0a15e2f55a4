import { current, FlowSpec, type Inputs, parameter, resources, step } from '@gangflow/core'
import { type MpiRunOptions, mpi } from '@gangflow/plugin-mpi'

/** A call, and what is done before it, or to it once it runs: a shell command on a node. */
export interface Case {
  readonly call: MpiRunOptions
  readonly launcher?: 'run' | 'exec'
  readonly before?: { readonly node: number; readonly command: string }
  readonly meanwhile?: { readonly node: number; readonly command: string }
}

/** Makes the calls that it is given, one after the other (those of one list at once), and keeps what came of each. */
export default class Calls extends FlowSpec {
  readonly cases = parameter.json<Case[][]>({ default: [] })
  /** Lets the first error fail the step. */
  readonly rethrow = parameter.boolean({ default: false })
  outcomes!: unknown[]

  @step start() {
    this.next(this.work, { numParallel: 4 })
  }

  @mpi()
  @resources({ cpu: 2 })
  @step
  async work() {
    const outcomes: unknown[] = []
    for (const together of this.cases) {
      const settled = await Promise.allSettled(together.map((one) => perform(one, this.rethrow)))
      for (const one of settled) {
        if (one.status === 'rejected') throw one.reason
        outcomes.push(one.value)
      }
    }
    this.outcomes = outcomes
    this.next(this.join)
  }

  @step join(inputs: Inputs<Calls, 'work'>) {
    this.outcomes = inputs.control.outcomes
    this.next(this.end)
  }

  @step end() {}
}

async function perform({ call, launcher = 'exec', before, meanwhile }: Case, rethrow: boolean): Promise<unknown> {
  const shell = (command: string) => ['sh', '-c', command]
  if (before) await current.parallel.exec([before.node], shell(before.command))
  const began = performance.now()
  const done = current.mpi[launcher](call)
  done.catch(() => {})
  if (meanwhile) await current.parallel.exec([meanwhile.node], shell(meanwhile.command))
  const faultAt = performance.now()
  try {
    return { ...(await done), sinceFaultMs: performance.now() - faultAt, tookMs: performance.now() - began }
  } catch (error) {
    if (rethrow) throw error
    const { code, message, rank, node, host, details } = error as Record<string, unknown>
    return { code, message, rank, node, host, details, sinceFaultMs: performance.now() - faultAt }
  }
}
