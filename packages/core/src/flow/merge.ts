import { isDeepStrictEqual } from 'node:util'
import { GangflowError } from '../errors/base.js'
import { inputBehind } from './inputs.js'
import type { ArtifactSource, JoinInput } from './invocation.js'
import type { RestoredFlow } from './restore.js'
import type { MergeOptions } from './types.js'

/** `this.mergeArtifacts(inputs, options)` of a join (see `FlowSpec`). */
export function mergeArtifacts(
  step: string,
  restored: RestoredFlow,
  all: readonly JoinInput[] | undefined,
  artifacts: ArtifactSource,
  given: unknown,
  options: unknown,
): void {
  const inputs = chosenInputs(step, all, given)
  const { include, exclude } = checkedOptions(step, options)
  const holdersOf = new Map<string, JoinInput[]>()
  for (const input of inputs)
    for (const name of input.artifacts.names()) {
      const holders = holdersOf.get(name)
      if (holders) holders.push(input)
      else holdersOf.set(name, [input])
    }
  const names = [...holdersOf.keys()]
  const present = new Set(artifacts.names())
  const missing = include?.filter((name) => !holdersOf.has(name) && !restored.isSet(name)) ?? []
  if (missing.length > 0)
    throw new GangflowError({
      code: 'E_MERGE_MISSING',
      what: `mergeArtifacts in ${step} is to include ${list(missing)}, which no input has`,
      fix: `the inputs have: ${names.join(', ') || 'nothing'}`,
      step,
    })
  const wanted = (name: string) => (include ? include.includes(name) : !exclude?.includes(name))
  const conflicts: string[] = []
  for (const name of new Set([...names, ...present])) {
    if (restored.isSet(name)) continue
    if (!wanted(name)) {
      restored.drop(name)
      continue
    }
    const holders = holdersOf.get(name) ?? []
    if (holders.length === 0) restored.drop(name)
    else if (artifacts.ambiguous(name) === undefined && present.has(name)) restored.carry(name, artifacts)
    else if (agree(holders, name)) restored.carry(name, holders[0]!.artifacts)
    else conflicts.push(name)
  }
  if (conflicts.length > 0)
    throw new GangflowError({
      code: 'E_MERGE_CONFLICT',
      what: `mergeArtifacts in ${step}: the inputs differ on ${list(conflicts)}`,
      fix: `set it before the merge (this.${conflicts[0]} = inputs[0].${conflicts[0]}), or leave it out: { exclude: [${conflicts.map((name) => `'${name}'`).join(', ')}] }`,
      step,
      details: { artifacts: conflicts },
    })
}

function agree(holders: readonly JoinInput[], name: string): boolean {
  if (holders.some((holder) => holder.artifacts.ambiguous(name) !== undefined)) return false
  if (holders.length === 1) return true
  const first = holders[0]!.artifacts.read(name)
  return holders.slice(1).every((holder) => isDeepStrictEqual(holder.artifacts.read(name), first))
}

function chosenInputs(step: string, all: readonly JoinInput[] | undefined, given: unknown): readonly JoinInput[] {
  const chosen = Array.isArray(given) ? given.map(inputBehind) : []
  if (all === undefined || chosen.length === 0 || chosen.some((input) => input === undefined))
    throw new GangflowError({
      code: 'E_MERGE_INPUTS',
      what:
        all === undefined
          ? `mergeArtifacts was called in ${step}, which is no join`
          : `mergeArtifacts in ${step} was not given inputs`,
      fix: 'call it in a join as this.mergeArtifacts(inputs), with inputs or some of its entries',
      step,
    })
  return chosen as JoinInput[]
}

function checkedOptions(step: string, options: unknown): MergeOptions {
  if (options === undefined) return {}
  const bad = (problem: string) =>
    new GangflowError({
      code: 'E_MERGE_OPTIONS',
      what: `mergeArtifacts in ${step} ${problem}`,
      fix: "give { include: ['a'] } or { exclude: ['b'] }, not both",
      step,
    })
  if (typeof options !== 'object' || options === null) throw bad('takes an object of options')
  for (const [name, value] of Object.entries(options)) {
    if (name !== 'include' && name !== 'exclude') throw bad(`has no option '${name}'`)
    if (value !== undefined && (!Array.isArray(value) || value.some((one) => typeof one !== 'string')))
      throw bad(`needs ${name} to be a list of names`)
  }
  const { include, exclude } = options as MergeOptions
  if (include && exclude) throw bad('was given both include and exclude')
  return options as MergeOptions
}

function list(names: readonly string[]): string {
  return names.map((name) => `'${name}'`).join(', ')
}
