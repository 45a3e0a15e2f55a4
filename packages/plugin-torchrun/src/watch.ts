import type { CommandResult, GangContext, GangProcess } from '@gangflow/core/plugin'
import { type Failed, lastLines, readErrorFile, torchrunErrorFile } from './failure.js'
import type { PlannedProcess, TorchPlan } from './plan.js'
import { restarts } from './torchrun-arguments.js'

/** How a relay ends that came too late to see how its rank did: what `relay.py` calls so. */
const UNKNOWN = 253

/** A started process of a call. */
export interface Running {
  readonly planned: PlannedProcess
  readonly process: GangProcess
  /** Its end on this member. */
  readonly ended: Promise<CommandResult>
}

/** Starts a plan's processes on this member: relays first, since torchrun's ranks look for them. */
export async function startAll(gang: GangContext, plan: TorchPlan): Promise<Running[]> {
  const start = async (planned: PlannedProcess): Promise<Running> => {
    const { name, rank, argv, env, cwd } = planned
    const process = await gang.start([gang.nodeIndex], {
      name,
      argv,
      env,
      cwd,
      ...(rank === undefined ? {} : { rank }),
    })
    return { planned, process, ended: process.ended.then((results) => results[0]!) }
  }
  const relays = await Promise.all(plan.processes.filter(({ kind }) => kind === 'relay').map(start))
  const others = await Promise.all(plan.processes.filter(({ kind }) => kind !== 'relay').map(start))
  return [...relays, ...others]
}

/**
 * Settles with the first process that ended badly, or with undefined when all ended well. Never rejects. torchrun's
 * relays end as their ranks end: torchrun itself tells of a failure only after it has ended the other ranks.
 */
export function firstFailure(
  running: readonly Running[],
  temp: string,
  torchrunArgs: readonly string[],
): Promise<Failed | undefined> {
  const isRestarted = restarts(torchrunArgs)
  return new Promise((resolve) => {
    let left = running.length
    for (const one of running) {
      void one.ended.then((result) => {
        left -= 1
        const failed = failedOf(one, result, temp)
        const isBad = failed.exitCode !== 0 || failed.signal !== null
        if (isBad && !(isRestarted && one.planned.kind === 'relay')) resolve(failed)
        // Ranks that never met their relay (--no-python) are torchrun's alone.
        else if (left === 0 || one.planned.kind === 'torchrun') resolve(undefined)
      })
    }
  })
}

/** The ranks whose error files say more than their silence, when the gang was stopped meanwhile. */
export function errorsLeft(running: readonly Running[], temp: string): Failed[] {
  return running.flatMap(({ planned }) => {
    if (planned.rank === undefined) return []
    const error = readErrorFile(errorFile(planned, temp) ?? '')
    return error ? [{ process: planned.name, rank: planned.rank, exitCode: 1, signal: null, error, lastLines: [] }] : []
  })
}

function failedOf({ planned }: Running, result: CommandResult, temp: string): Failed {
  const path = errorFile(planned, temp)
  const error = path === undefined ? undefined : readErrorFile(path)
  const isUnknown = planned.kind === 'relay' && result.exitCode === UNKNOWN
  return {
    process: planned.name,
    ...(planned.rank === undefined ? {} : { rank: planned.rank }),
    exitCode: isUnknown ? Number(error !== undefined) : result.exitCode,
    signal: result.signal,
    ...(error ? { error } : {}),
    lastLines: lastLines(result.stderr, result.stdout),
  }
}

function errorFile(planned: PlannedProcess, temp: string): string | undefined {
  const named = planned.env['TORCHELASTIC_ERROR_FILE']
  if (named !== undefined || planned.kind === 'rank') return named
  return planned.localRank === undefined ? undefined : torchrunErrorFile(`${temp}/torchrun`, planned.localRank)
}
