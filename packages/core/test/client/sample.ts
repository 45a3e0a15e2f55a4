import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { saveArtifacts, saveValues } from '../../src/datastore/artifacts/save.js'
import type { Datastore } from '../../src/datastore/contract.js'
import { LogSink } from '../../src/datastore/logs/sink.js'
import { thisOwner } from '../../src/datastore/owner.js'
import { type ArtifactTable, type AttemptAddress, keys, type TaskRecord } from '../../src/datastore/records.js'
import type { Verdict } from '../../src/errors/verdict.js'
import type { FlowDescription, StepDescription } from '../../src/flow/description.js'
import type { Json } from '../../src/flow/values.js'

/** Writes records as the runtime does, for what reads them. */
export class SampleRun {
  readonly base: { readonly flow: string; readonly run: string }

  private constructor(
    readonly store: Datastore,
    flow: string,
    run: string,
  ) {
    this.base = { flow, run }
  }

  static async start(
    store: Datastore,
    flow: string,
    run: string,
    options: {
      steps?: readonly Partial<StepDescription>[]
      parameters?: Record<string, unknown>
      tags?: string[]
      origin?: string
      dead?: boolean
    } = {},
  ): Promise<SampleRun> {
    const sample = new SampleRun(store, flow, run)
    const names = options.steps ?? [{ name: 'start' }, { name: 'end' }]
    const description = { protocol: 1, name: flow, file: '/f.ts', parameters: [], steps: names, complaints: [] }
    const blob = await store.putBlob(Buffer.from(`code of ${flow}`))
    const owner = options.dead ? { ...thisOwner(), pidStart: '1' } : thisOwner()
    await sample.put(keys.owner(flow, run, 1), owner)
    if (options.tags) await sample.put(keys.tags(flow, run), options.tags)
    const parameters = Object.entries(options.parameters ?? {}).map(([name, value]) => ({
      name,
      state: 'value' as const,
      value,
    }))
    await sample.put(keys.run(flow, run), {
      version: 1,
      flow,
      run,
      file: '/f.ts',
      user: 'me',
      host: 'here',
      startedAt: Date.now(),
      coreVersion: '0',
      backend: 'local',
      description: description as unknown as FlowDescription,
      bundle: { hash: blob.hash, code: blob, map: blob },
      parameters: await saveArtifacts(store, parameters, {}),
      ...(options.origin ? { origin: { run: options.origin } } : {}),
    })
    return sample
  }

  put(key: string, value: unknown): Promise<void> {
    return this.store.putRecord(key, value as Json)
  }

  at(step: string, task: string, attempt = 0): AttemptAddress {
    return { ...this.base, step, task, attempt }
  }

  async task(step: string, task: string, spec: Partial<TaskRecord> & { value?: unknown } = {}): Promise<void> {
    const { value, ...rest } = spec
    const item = value === undefined ? {} : { item: (await saveValues(this.store, [value], { label: 'item' }))[0]! }
    await this.put(keys.task(this.at(step, task)), {
      step,
      task,
      createdAt: Date.now(),
      parents: [],
      frames: [],
      ...item,
      ...rest,
    })
  }

  async attempt(step: string, task: string, attempt = 0, output: readonly string[] = []): Promise<void> {
    const address = this.at(step, task, attempt)
    await this.put(keys.attemptStart(address), { attempt, startedAt: Date.now(), host: 'here' })
    if (output.length > 0) await this.print(address, 0, 'body', output)
  }

  async print(address: AttemptAddress, node: number, process: string, output: readonly string[]): Promise<void> {
    const file = join(this.store.scratch('spool', 'sample'), `${Math.random()}.spool`)
    const sink = new LogSink({ store: this.store, file, target: { address, epoch: 1, node, process } }).start()
    for (const line of output) {
      const data = Buffer.from(`${line}\n`)
      const head = Buffer.alloc(13)
      head.writeUInt8(1)
      head.writeBigUInt64BE(process_hrtime(), 1)
      head.writeUInt32BE(data.length, 9)
      appendFileSync(file, Buffer.concat([head, data]))
    }
    await sink.finish()
  }

  async save(values: Record<string, unknown>, step = 's'): Promise<ArtifactTable> {
    const changes = Object.entries(values).map(([name, value]) => ({ name, state: 'value' as const, value }))
    return await saveArtifacts(this.store, changes, {}, { step })
  }

  async done(
    step: string,
    task: string,
    values: Record<string, unknown>,
    more: Record<string, unknown> = {},
  ): Promise<void> {
    const artifacts = await this.save(values, step)
    const record = {
      attempt: 0,
      epoch: 1,
      startedAt: Date.now(),
      endedAt: Date.now(),
      artifacts,
      transition: { kind: 'end' },
      ...more,
    }
    await this.store.createRecord(keys.done(this.at(step, task)), record as unknown as Json)
  }

  async failed(step: string, task: string, attempt: number, verdict: Partial<Verdict>): Promise<void> {
    const whole = {
      version: 1,
      cause: 'user',
      summary: 'it failed',
      echoes: [],
      stopped: [],
      author: 'body',
      ...verdict,
    }
    await this.put(keys.attemptFailed(this.at(step, task, attempt)), { attempt, endedAt: Date.now(), verdict: whole })
  }

  async end(status: 'done' | 'failed' | 'cancelled', more: Record<string, unknown> = {}): Promise<void> {
    await this.put(keys.end(this.base.flow, this.base.run), { status, endedAt: Date.now(), ...more })
  }
}

const process_hrtime = (): bigint => process.hrtime.bigint()
