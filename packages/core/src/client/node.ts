import type { NodeRecord } from '../datastore/records.js'
import type { Artifacts } from '../flow/types.js'
import { lazyArtifacts, typesOf } from './artifacts.js'
import type { View } from './view.js'

/** One member of a gang that ran a body, as it left things. */
export class GangNode<F = Record<string, unknown>> {
  /** The node's index in its epoch. */
  readonly node: number
  readonly epoch: number
  readonly host: string
  readonly memberId: string | undefined
  /** True for the member that launched. */
  readonly control: boolean
  readonly #record: NodeRecord
  readonly #view: View
  readonly #step: string
  #artifacts: Artifacts<F> | undefined

  constructor(view: View, step: string, epoch: number, record: NodeRecord) {
    this.#view = view
    this.#step = step
    this.#record = record
    this.node = record.node
    this.epoch = epoch
    this.host = record.host
    this.memberId = record.memberId
    this.control = record.control
  }

  /** The names and kinds of its artifacts, without reading any: `{ loss: 'number' }`. */
  get artifactTypes(): Readonly<Record<string, string>> {
    return typesOf(this.#record.artifacts)
  }

  /** Read one by one, when asked for. */
  get artifacts(): Artifacts<F> {
    const { store, codecs } = this.#view
    this.#artifacts ??= lazyArtifacts<Artifacts<F>>({
      store,
      codecs,
      table: this.#record.artifacts,
      step: this.#step,
    })
    return this.#artifacts
  }
}
