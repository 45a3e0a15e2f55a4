import { GangflowError } from '@gangflow/core'
import type { JobBackend, JobRequest, JobTask, SubmittedJob } from '@gangflow/core/backend'
import { said, slurmCommand } from './command.js'
import { largestArray, parseConfig } from './findings.js'
import type { SlurmSettings } from './options.js'
import { parseComments, parseSubmitted } from './parse.js'
import { commentOf, nameOf, planJob, type SlurmPlan } from './plan.js'
import { Watch } from './watch.js'

/** Milliseconds in which wishes for an end are gathered into one scancel. */
const GATHER_MS = 10

/** What may pass: a request that cannot be met now, but may be later. */
const passing = /not available \(down|Unable to contact|Socket timed out|Resource temporarily/i

/** Jobs on a Slurm cluster: submitted by sbatch, watched by squeue, ended by scancel. */
export class SlurmJobs implements JobBackend<SlurmPlan> {
  readonly #settings: SlurmSettings
  readonly #watch: Watch
  /** Requests that Slurm is known to be able to meet. */
  readonly #tested = new Set<string>()
  #largest: Promise<number> | undefined
  #cancelling: { ids: string[]; done: Promise<void> } | undefined

  constructor(settings: SlurmSettings) {
    this.#settings = settings
    this.#watch = new Watch(settings.poll)
  }

  plan(request: Parameters<JobBackend['plan']>[0]): SlurmPlan {
    return planJob(request, this.#settings)
  }

  /** As the site has set it; asked once. */
  largest(): Promise<number> {
    this.#largest ??= slurmCommand(['scontrol', 'show', 'config']).then(({ stdout }) =>
      largestArray(parseConfig(stdout)),
    )
    return this.#largest
  }

  async submit(plan: SlurmPlan, signal: AbortSignal): Promise<SubmittedJob> {
    signal.throwIfAborted()
    await this.#test(plan)
    signal.throwIfAborted()
    const answer = await slurmCommand(plan.argv, plan.script)
    const id = answer.code === 0 ? parseSubmitted(answer.stdout) : undefined
    if (id === undefined) throw refused(said(answer))
    return await this.adopt(id, plan, [...Array(plan.count).keys()])
  }

  async adopt(id: string, { count, output }: SlurmPlan, indices: readonly number[]): Promise<SubmittedJob> {
    return {
      id,
      tasks: indices.map((index) =>
        this.#task(count > 1 ? `${id}_${index}` : id, `${output.directory}/${output.prefix}-${index}`),
      ),
    }
  }

  async find(request: JobRequest): Promise<string | undefined> {
    const name = `--name=${nameOf(request)}`
    const answer = await slurmCommand(['squeue', '-h', '-t', 'all', name, '-O', 'ArrayJobID:|,Comment:|'])
    if (answer.code !== 0) throw refused(said(answer))
    return parseComments(answer.stdout).get(commentOf(request))
  }

  close(): void {
    this.#watch.close()
  }

  #task(id: string, output: string): JobTask {
    const listeners: ((text: string) => void)[] = []
    const ended = this.#watch.add(id, (text) => {
      for (const listener of listeners) listener(text)
    })
    return {
      id,
      output,
      ended,
      onNote: (listener) => listeners.push(listener),
      cancel: () => this.#cancel(id),
    }
  }

  /** Whether the request can ever be met is asked once for each kind of it: else it would wait in the queue for ever. */
  async #test(plan: SlurmPlan): Promise<void> {
    const kind = plan.script.replace(/^#SBATCH --(output|array|comment|job-name)=.*\n/gm, '').replace(/^exec .*/m, '')
    if (this.#tested.has(kind)) return
    const answer = await slurmCommand([...plan.argv, '--test-only'], plan.script)
    if (answer.code !== 0 && !passing.test(answer.stderr)) throw refused(said(answer))
    this.#tested.add(kind)
  }

  #cancel(id: string): Promise<void> {
    const ids = this.#cancelling?.ids ?? []
    ids.push(id)
    this.#cancelling ??= {
      ids,
      done: new Promise((resolve) => {
        setTimeout(() => {
          this.#cancelling = undefined
          void slurmCommand(['scancel', ...ids])
            .catch(() => {})
            .then(() => {
              this.#watch.soon()
              resolve()
            })
        }, GATHER_MS)
      }),
    }
    return this.#cancelling.done
  }
}

/** Why Slurm did not take a job. */
export const refused = (why: string): GangflowError =>
  /configuration source|Unable to contact|SLURM_CONF/.test(why)
    ? new GangflowError({
        code: 'E_SLURM_COMMAND',
        what: `Slurm does not answer here: ${why}`,
        fix: "run gangflow on a machine of the cluster, such as its login node, or set SLURM_CONF to the cluster's slurm.conf",
      })
    : new GangflowError({
        code: 'E_SLURM_REFUSED',
        what: `Slurm does not take the job: ${why}`,
        fix: '`sinfo` shows what the cluster has; `gangflow run … --dry-run` shows what is asked for',
      })
