import { GangflowError } from '@gangflow/core'
import { broadcastFile } from './broadcast-file.js'
import { compile } from './cc.js'
import type { LaunchPlan } from './launch-plan.js'
import type {
  MpiBroadcastOptions,
  MpiBroadcastResult,
  MpiCompileOptions,
  MpiCompileResult,
  MpiResult,
  MpiRunOptions,
} from './options.js'
import { perform, planOf } from './perform.js'
import type { Session } from './session.js'
import type { Settings } from './settings.js'

/** `current.mpi` of a step with `@mpi`. */
export interface Mpi {
  /**
   * Runs a program as MPI ranks on the whole gang by `mpirun`, and waits for its end. Success is what every rank reported:
   * one that fails, a lost daemon, or a world of another size is an error, whatever mpirun's exit code.
   * @throws GangflowError `E_MPI_…`, see docs/reference/errors.md
   */
  run(options: MpiRunOptions): Promise<MpiResult>
  /** The same by `mpiexec`. */
  exec(options: MpiRunOptions): Promise<MpiResult>
  /**
   * Compiles a program on the control by the installation's own compiler (`mpicc`, `mpicxx`, `mpifort`), which adds what
   * MPI needs. A list is the compiler's arguments as they are.
   * @throws GangflowError `E_MPI_COMPILE` with the compiler's output; `E_MPI_COMPILER` where there is none
   */
  cc(source: string | readonly string[], options?: MpiCompileOptions): Promise<MpiCompileResult>
  /**
   * Copies a file of the control to the same path in each member's working directory, passed on from member to member,
   * its SHA-256 compared, its mode kept. Members that share the control's disk are left as they are.
   */
  broadcastFile(path: string, options?: MpiBroadcastOptions): Promise<MpiBroadcastResult>
  /** What `run` would perform, without performing it. */
  plan(options: MpiRunOptions): Promise<LaunchPlan>
}

/** The namespace of one attempt on one member. */
export function makeMpi(session: Session): Mpi {
  const onControl = <T>(work: () => Promise<T>) => counted(session, () => everywhere(session, work))
  const launch = (launcher: Settings['launcher']) => (call: MpiRunOptions) =>
    onControl(() => perform(session, launcher, call))
  return {
    run: launch('mpirun'),
    exec: launch('mpiexec'),
    cc: (source, options) => onControl(() => compile(session, source, options)),
    broadcastFile: (path, options) => onControl(() => broadcastFile(session, path, options)),
    plan: (call) => planOf(session, 'mpirun', call),
  }
}

/** Keeps count of open calls, for a step that ends before they have. */
async function counted<T>(session: Session, work: () => Promise<T>): Promise<T> {
  session.open += 1
  try {
    return await work()
  } finally {
    session.open -= 1
  }
}

/** The control performs it; where all members run the step, the others wait for what comes of it. */
async function everywhere<T>({ gang, options }: Session, work: () => Promise<T>): Promise<T> {
  if (options.body !== 'all' || gang.numNodes === 1) return work()
  if (!gang.isControl) {
    const told = await gang.broadcast<{ value?: T; error?: string }>({}, { timeout: UNLIMITED_MS })
    if (told.error === undefined) return told.value as T
    throw new GangflowError({
      code: 'E_MPI_CONTROL',
      what: `the control's call failed: ${told.error}`,
      fix: 'the verdict names what failed',
      step: gang.step,
      node: gang.nodeIndex,
    })
  }
  try {
    const value = await work()
    await gang.broadcast<{ value?: T; error?: string }>({ value }, { timeout: UNLIMITED_MS })
    return value
  } catch (error) {
    const what = error instanceof Error ? error.message.split('\n')[0]! : String(error)
    if (!gang.signal.aborted)
      await gang.broadcast<{ value?: T; error?: string }>({ error: what }, { timeout: UNLIMITED_MS })
    throw error
  }
}

/** Longest that a timer can wait: nobody's job is limited but by its own `timeout`. */
const UNLIMITED_MS = 2_000_000_000
