import { joinTables } from '../datastore/artifacts/join.js'
import { artifactSource } from '../datastore/artifacts/source.js'
import type { Datastore } from '../datastore/contract.js'
import { type ArtifactTable, type DoneRecord, keys, type TaskRecord, type TaskRef } from '../datastore/records.js'
import { GangflowError } from '../errors/base.js'
import type { ArtifactSource, JoinInput } from '../flow/invocation.js'
import type { ArtifactCodec } from '../flow/values.js'
import type { Assignment } from './protocol.js'

type Ambiguous = Readonly<Record<string, readonly string[]>>

/** What one parent left. */
interface Left {
  readonly ref: TaskRef
  readonly control: boolean
  readonly artifacts: ArtifactTable
  readonly ambiguous: Ambiguous
}

/** What a task starts from. */
export interface Inheritance {
  readonly source: ArtifactSource
  readonly artifacts: ArtifactTable
  readonly ambiguous: Ambiguous
  /** Present for a join: one entry for each parent, in order. */
  readonly inputs?: readonly JoinInput[]
}

/** Reads what a task's parents left, and merges it where there are several. */
export function inherit(store: Datastore, assignment: Assignment, codecs: readonly ArtifactCodec[]): Inheritance {
  const { address, parents, description } = assignment
  const step = description.steps.find(({ name }) => name === address.step)
  const left = parents.map((parent) => leftBy(store, assignment, parent))
  const { artifacts, ambiguous } = merged(left)
  const source = artifactSource(store, artifacts, { codecs, step: address.step, ambiguous })
  if (!step?.join) return { source, artifacts, ambiguous }
  const inputs = left.map(
    ({ ref, control, ...own }): JoinInput => ({
      step: ref.step,
      ...(ref.node === undefined ? {} : { node: ref.node, control }),
      artifacts: artifactSource(store, own.artifacts, { codecs, step: ref.step, ambiguous: own.ambiguous }),
    }),
  )
  return { source, artifacts, ambiguous, inputs }
}

function merged(left: readonly Left[]): { artifacts: ArtifactTable; ambiguous: Ambiguous } {
  const [only] = left
  if (left.length === 0) return { artifacts: {}, ambiguous: {} }
  if (left.length === 1) return { artifacts: only!.artifacts, ambiguous: only!.ambiguous }
  return joinTables(left.map(({ ref, artifacts, ambiguous }) => ({ step: ref.step, artifacts, ambiguous })))
}

function leftBy(store: Datastore, assignment: Assignment, ref: TaskRef): Left {
  const done = doneOf(store, assignment, ref)
  if (ref.node === undefined) return { ref, control: false, artifacts: done.artifacts, ambiguous: done.ambiguous ?? {} }
  const node = done.nodes?.find((one) => one.node === ref.node)
  if (node) return { ref, control: node.control, artifacts: node.artifacts, ambiguous: done.ambiguous ?? {} }
  // A member without a body carries what it was given.
  const given = givenTo(store, assignment, ref)
  return { ref, control: ref.node === 0, ...given }
}

function givenTo(
  store: Datastore,
  assignment: Assignment,
  ref: TaskRef,
): { artifacts: ArtifactTable; ambiguous: Ambiguous } {
  const { flow, run } = assignment.address
  const task = store.readRecordSync(keys.task({ flow, run, ...ref })) as unknown as TaskRecord | undefined
  return merged((task?.parents ?? []).map((parent) => leftBy(store, assignment, parent)))
}

/** The record read last: a body that is used again asks for the same parent, whose record is long where its items are many. */
const last = new WeakMap<Datastore, { readonly key: string; readonly done: DoneRecord }>()

function doneOf(store: Datastore, assignment: Assignment, ref: TaskRef): DoneRecord {
  const { flow, run, step } = assignment.address
  const key = keys.done({ flow, run, step: ref.step, task: ref.task })
  const known = last.get(store)
  // Once created, it never changes.
  if (known?.key === key) return known.done
  const done = store.readRecordSync(key) as unknown as DoneRecord | undefined
  if (done !== undefined) {
    last.set(store, { key, done })
    return done
  }
  throw new GangflowError({
    code: 'E_PARENT_MISSING',
    what: `the task ${ref.step}/${ref.task}, from which step '${step}' begins, is not in the datastore`,
    fix: 'it was removed while the run went on: resume the run',
    step,
  })
}
