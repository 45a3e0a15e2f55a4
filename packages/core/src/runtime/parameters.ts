import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { saveArtifacts } from '../datastore/artifacts/save.js'
import { readArtifact } from '../datastore/artifacts/source.js'
import type { Datastore } from '../datastore/contract.js'
import type { ArtifactTable } from '../datastore/records.js'
import { GangflowError, messageOf } from '../errors/base.js'
import { coerceParameters, isFileValue } from '../flow/coerce.js'
import type { FlowDescription, ParameterDescription } from '../flow/description.js'

export interface GivenParameters {
  readonly values: Readonly<Record<string, unknown>>
  readonly as: 'value' | 'text'
}

/** Checks a new run's parameters, reads its files, and stores the values. Throws `E_PARAMETER_*`. */
export async function newParameters(
  datastore: Datastore,
  { parameters, file }: FlowDescription,
  given: GivenParameters,
): Promise<ArtifactTable> {
  const values = coerceParameters(parameters, given.values, given.as)
  return await store(datastore, parameters, values, file, {})
}

/**
 * The parameters of a run that resumes another: what the origin had, for as long as the flow still has them; a new
 * one takes its default. Files are not read again.
 */
export async function keptParameters(
  datastore: Datastore,
  { parameters, file }: FlowDescription,
  origin: ArtifactTable,
): Promise<ArtifactTable> {
  const read: Record<string, unknown> = {}
  for (const { name, kind } of parameters) {
    const ref = origin[name]
    if (ref && kind !== 'file') read[name] = readArtifact(datastore, ref, { name })
  }
  const files = parameters.filter(({ name, kind }) => kind === 'file' && origin[name])
  const rest = parameters.filter((one) => !files.includes(one))
  let values: Record<string, unknown>
  try {
    values = coerceParameters(rest, read, 'value')
  } catch (error) {
    if (!GangflowError.is(error)) throw error
    const fix = 'a resumed run keeps the parameters of its origin: give a new parameter a default, or start a new run'
    throw new GangflowError({ ...error.toJSON(), fix }, { cause: error })
  }
  const table = await store(datastore, parameters, values, file, origin)
  return { ...table, ...Object.fromEntries(files.map(({ name }) => [name, origin[name]!])) }
}

async function store(
  datastore: Datastore,
  parameters: readonly ParameterDescription[],
  values: Readonly<Record<string, unknown>>,
  flowFile: string,
  before: ArtifactTable,
): Promise<ArtifactTable> {
  const kinds = new Map(parameters.map((one) => [one.name, one]))
  const changes = await Promise.all(
    Object.entries(values).map(async ([name, value]) => ({
      name,
      state: 'value' as const,
      value: isFileValue(value) ? await readParameter(kinds.get(name)!, value, flowFile) : value,
    })),
  )
  return await saveArtifacts(datastore, changes, before)
}

async function readParameter(
  parameter: ParameterDescription,
  { path, base }: { readonly path: string; readonly base: 'cwd' | 'flow' },
  flowFile: string,
): Promise<string | Uint8Array> {
  const full = resolve(base === 'flow' ? dirname(flowFile) : process.cwd(), path)
  try {
    const content = await readFile(full)
    return parameter.encoding ? content.toString(parameter.encoding) : new Uint8Array(content)
  } catch (cause) {
    throw new GangflowError(
      {
        code: 'E_PARAMETER_FILE',
        what: `the file of parameter '${parameter.name}' cannot be read: ${messageOf(cause)}`,
        fix: base === 'flow' ? 'its default is a path beside the flow' : 'give the path of a file that you may read',
        details: { path: full },
      },
      { cause },
    )
  }
}
