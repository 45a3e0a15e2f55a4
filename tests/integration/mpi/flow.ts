import { current, FlowSpec, type Inputs, parameter, resources, step } from '@gangflow/core'
import { type MpiRunOptions, mpi } from '@gangflow/plugin-mpi'

/** A call, and what is done to it meanwhile: a shell command on a node, once a rank runs. */
interface Case {
  readonly call: MpiRunOptions
  readonly launcher?: 'run' | 'exec'
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
      outcomes.push(...(await Promise.all(together.map((one) => perform(one, this.rethrow)))))
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

async function perform({ call, launcher = 'exec', meanwhile }: Case, rethrow: boolean): Promise<unknown> {
  const began = performance.now()
  const after = () => performance.now() - began
  const done = current.mpi[launcher](call)
  done.catch(() => {})
  if (meanwhile) await current.parallel.exec([meanwhile.node], ['sh', '-c', meanwhile.command])
  const faultAt = after()
  try {
    return { ...(await done), tookMs: after() }
  } catch (error) {
    if (rethrow) throw error
    const { code, message, rank, node, host, details } = error as Record<string, unknown>
    return { code, message, rank, node, host, details, tookMs: after(), sinceFaultMs: after() - faultAt }
  }
}
