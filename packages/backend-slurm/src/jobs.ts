import type { JobBackend, JobRequest, JobTask, SubmittedJob } from '@gangflow/core/backend'
import { slurmCommand, unanswered } from './command.js'
import { largestArray, parseConfig } from './findings.js'
import type { SlurmSettings } from './options.js'
import { commentOf, nameOf, planJob, type SlurmPlan } from './plan.js'
import { AGAIN_MS, idOf, Submission } from './submit.js'
import { Watch } from './watch.js'

/** Milliseconds in which wishes for an end are gathered into one scancel. */
const GATHER_MS = 10

/** Jobs on a Slurm cluster: submitted by sbatch, watched by squeue, ended by scancel. */
export class SlurmJobs implements JobBackend<SlurmPlan> {
  readonly #settings: SlurmSettings
  readonly #watch: Watch
  readonly #submission = new Submission()
  #largest: Promise<number> | undefined
  #closed = false
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
    this.#closed = true
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

  #cancel(id: string): Promise<void> {
    const ids = this.#cancelling?.ids ?? []
    ids.push(id)
    this.#cancelling ??= {
      ids,
      done: new Promise((resolve) => {
        setTimeout(() => {
          this.#cancelling = undefined
          void this.#end(ids)
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

  /** A wish that the controller does not hear is made again. */
  async #end(ids: readonly string[]): Promise<void> {
    for (let answer = await slurmCommand(['scancel', ...ids]); unanswered(answer) && !this.#closed; ) {
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS))
      answer = await slurmCommand(['scancel', ...ids])
    }
  }
}
