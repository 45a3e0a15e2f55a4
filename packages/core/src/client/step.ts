import { keys } from '../datastore/records.js'
import type { StepDescription } from '../flow/description.js'
import { byNumber } from './find.js'
import type { Run } from './run.js'
import { Task } from './task.js'
import type { View } from './view.js'

/** A step of a run, with the tasks that executed it. */
export class Step<F = Record<string, unknown>> {
  readonly name: string
  /** `Flow/run/step`. */
  readonly pathspec: string
  readonly run: Run<F>
  readonly description: StepDescription | undefined
  readonly #view: View

  constructor(view: View, run: Run<F>, name: string) {
    this.#view = view
    this.run = run
    this.name = name
    this.pathspec = `${run.pathspec}/${name}`
    this.description = run.description.steps.find((step) => step.name === name)
  }

  /** In the order of their ids. */
  async tasks(): Promise<Task<F>[]> {
    const { store } = this.#view
    const ids = await store.listChildren(keys.step(this.run.flow, this.run.id, this.name))
    return [...ids].sort(byNumber).map((id) => new Task<F>(this.#view, this.run, this.name, id))
  }

  /** A task by its id; default the first. Throws `E_NOT_FOUND`. */
  task(id?: string | number): Task<F> {
    const known = this.#view.store.listChildrenSync(keys.step(this.run.flow, this.run.id, this.name))
    const chosen = id === undefined ? [...known].sort(byNumber)[0] : String(id)
    return new Task<F>(this.#view, this.run, this.name, chosen ?? '0')
  }
}
