import type { JobBackend, JobRequest, JobTask, SubmittedJob } from '@gangflow/core/backend'
import { Cancels } from './cancel.js'
import { slurmCommand } from './command.js'
import { largestArray, parseConfig } from './findings.js'
import type { SlurmSettings } from './options.js'
import { commentOf, nameOf, planJob, type SlurmPlan } from './plan.js'
import { idOf, Submission } from './submit.js'
import { Watch } from './watch.js'

/** Jobs on a Slurm cluster: submitted by sbatch, watched by squeue, ended by scancel. */
export class SlurmJobs implements JobBackend<SlurmPlan> {
  readonly #settings: SlurmSettings
  readonly #watch: Watch
  readonly #submission = new Submission()
  readonly #cancels = new Cancels()
  #largest: Promise<number> | undefined

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

  async submit(plan: SlurmPlan, signal: AbortSignal, note: (text: string) => void = () => {}): Promise<SubmittedJob> {
    const id = await this.#submission.submit(plan, signal, note)
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

  find(request: JobRequest): Promise<string | undefined> {
    return idOf(nameOf(request), commentOf(request))
  }

  close(): void {
    this.#cancels.close()
    this.#watch.close()
  }

  #task(id: string, output: string): JobTask {
    const listeners: ((text: string) => void)[] = []
    const note = (text: string) => {
      for (const listener of listeners) listener(text)
    }
    const ended = this.#watch.add(id, note)
    return {
      id,
      output,
      ended,
      onNote: (listener) => listeners.push(listener),
      cancel: (signal) => this.#cancels.cancel({ id, signal, note }).finally(() => this.#watch.soon()),
    }
  }
}
