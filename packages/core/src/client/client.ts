import type { Datastore } from '../datastore/contract.js'
import { defaultDatastore, openDatastoreSync } from '../datastore/open.js'
import { keys, type RunRecord, type RunStatus } from '../datastore/records.js'
import type { ArtifactCodec } from '../flow/values.js'
import { byNumber, notFound } from './find.js'
import { Run } from './run.js'
import { readSync, type View } from './view.js'

export interface ClientOptions {
  /** Codecs of plugins, for artifacts that core cannot read by itself. */
  readonly codecs?: readonly ArtifactCodec[]
}

export interface RunFilter {
  /** Runs that have this tag, or all of these. */
  readonly tag?: string | readonly string[]
  readonly status?: RunStatus | readonly RunStatus[]
  /** At most this many. Default: all. */
  readonly limit?: number
}

/** A flow by its name, or its class (whose artifacts are then typed). */
// biome-ignore lint/suspicious/noExplicitAny: a flow's constructor, whatever it takes
export type FlowName<F> = string | (abstract new (...args: any[]) => F)

/**
 * Reads what runs have left: `new Client().run<Train>('Train/17…').artifacts.loss`. Single things (a run, its status,
 * an artifact) are read synchronously when asked for; lists and logs are asynchronous.
 */
export class Client {
  readonly datastore: Datastore
  readonly #view: View

  /**
   * @param location a directory or a datastore's location. Default: `GANGFLOW_DATASTORE`, else `.gangflow/` beside the
   * package.json nearest to the working directory. Nothing is created there.
   */
  constructor(location?: string | Datastore, options: ClientOptions = {}) {
    this.datastore =
      typeof location === 'object'
        ? location
        : openDatastoreSync(location ?? process.env['GANGFLOW_DATASTORE'] ?? defaultDatastore(process.cwd()))
    this.#view = { store: this.datastore, codecs: options.codecs ?? [] }
  }

  /** The names of the flows that have runs, sorted. */
  async flows(): Promise<string[]> {
    return [...(await this.datastore.listChildren(keys.flows))]
  }

  /** The runs of a flow, newest first; an unknown flow has none. */
  async runs<F = Record<string, unknown>>(flow: FlowName<F>, filter: RunFilter = {}): Promise<Run<F>[]> {
    const name = typeof flow === 'string' ? flow : flow.name
    const ids = [...(await this.datastore.listChildren(keys.flow(name)))].sort(byNumber).reverse()
    const tags = filter.tag === undefined ? [] : [filter.tag].flat()
    const statuses = filter.status === undefined ? undefined : [filter.status].flat()
    const runs: Run<F>[] = []
    for (const id of ids) {
      if (filter.limit !== undefined && runs.length >= filter.limit) break
      const record = (await this.datastore.readRecord(keys.run(name, id))) as unknown as RunRecord | undefined
      if (record === undefined) continue // claimed, and killed before it began
      const run = new Run<F>(this.#view, record)
      if (tags.length > 0 && !tags.every((tag) => run.tags.includes(tag))) continue
      if (statuses === undefined || statuses.includes(run.status)) runs.push(run)
    }
    return runs
  }

  /** The newest run of a flow that the filter lets pass; throws `E_NOT_FOUND` when there is none. */
  async latest<F = Record<string, unknown>>(flow: FlowName<F>, filter: RunFilter = {}): Promise<Run<F>> {
    const [run] = await this.runs<F>(flow, { ...filter, limit: 1 })
    if (run !== undefined) return run
    const name = typeof flow === 'string' ? flow : flow.name
    throw notFound(`such run of flow '${name}'`, await this.flows(), this.datastore.location)
  }

  /** A run by `Flow/run`, or by its id alone. Throws `E_NOT_FOUND`. */
  run<F = Record<string, unknown>>(pathspec: string | number): Run<F> {
    const [first, second, ...more] = String(pathspec).split('/')
    const flows = this.datastore.listChildrenSync(keys.flows)
    const where = this.datastore.location
    if (more.length > 0 || !first) throw notFound(`run '${pathspec}'`, flows, where)
    const candidates = second === undefined ? flows : flows.filter((flow) => flow === first)
    if (second !== undefined && candidates.length === 0) throw notFound(`flow '${first}'`, flows, where)
    for (const flow of candidates) {
      const id = second ?? first
      if (!/^[A-Za-z0-9._@=-]+$/.test(id)) break
      const record = readSync<RunRecord>(this.#view, keys.run(flow, id))
      if (record !== undefined) return new Run<F>(this.#view, record)
    }
    const newest = candidates.flatMap((flow) =>
      [...this.datastore.listChildrenSync(keys.flow(flow))]
        .sort(byNumber)
        .reverse()
        .map((id) => `${flow}/${id}`),
    )
    throw notFound(`run '${pathspec}'`, newest, where)
  }
}
