import { constants } from 'node:os'
import type { CommandResult, GangContext, GangProcess } from '@gangflow/core/plugin'
import { type Failed, lastLines, readErrorFile, torchrunErrorFile } from './failure.js'
import type { PlannedProcess, TorchPlan } from './plan.js'
import { restarts } from './torchrun-arguments.js'

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

/** Settles with the first process that ended badly, or with undefined when all ended well. Never rejects. */
export function firstFailure(
  running: readonly Running[],
  temp: string,
  torchrunArgs: readonly string[],
): Promise<Failed | undefined> {
  return new Promise((resolve) => {
    let left = running.length
    for (const one of running) {
      void one.ended.then((result) => {
        left -= 1
        if (one.planned.kind !== 'relay' && (result.exitCode !== 0 || result.signal))
          resolve(failedOf(one, result, temp))
        else if (left === 0) resolve(undefined)
      })
      if (one.planned.kind === 'torchrun' && !restarts(torchrunArgs))
        reportedRank(one, (localRank, code) => void belowTorchrun(running, localRank, code, temp).then(resolve))
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
  return {
    process: planned.name,
    ...(planned.rank === undefined ? {} : { rank: planned.rank }),
    exitCode: result.exitCode,
    signal: result.signal,
    ...(error ? { error } : {}),
    lastLines: lastLines(result.stderr, result.stdout),
  }
}

function errorFile(planned: PlannedProcess, temp: string): string | undefined {
  if (planned.kind === 'rank') return planned.env['TORCHELASTIC_ERROR_FILE']
  return planned.localRank === undefined ? undefined : torchrunErrorFile(`${temp}/torchrun`, planned.localRank)
}

/** torchrun says at once which rank failed, then takes up to 30 s to end the others; its own exit says too little. */
function reportedRank({ process }: Running, found: (localRank: number, code: number) => void): void {
  let told = false
  process.onLine(({ text }) => {
    const match = /failed \(exitcode: (-?\d+)\) local_rank: (\d+)/.exec(text)
    if (!match || told) return
    told = true
    found(Number(match[2]), Number(match[1]))
  })
}

async function belowTorchrun(
  running: readonly Running[],
  localRank: number,
  code: number,
  temp: string,
): Promise<Failed> {
  const relay = running.find(({ planned }) => planned.kind === 'relay' && planned.localRank === localRank)!
  // Its output is whole once the relay has ended; forks of the rank may hold it open.
  const output = await Promise.race([
    relay.ended,
    new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 1000)),
  ])
  const path = errorFile(relay.planned, temp)
  const error = path === undefined ? undefined : readErrorFile(path)
  return {
    process: relay.planned.name,
    rank: relay.planned.rank!,
    exitCode: code < 0 ? null : code,
    signal: code < 0 ? signalName(-code) : null,
    ...(error ? { error } : {}),
    lastLines: output ? lastLines(output.stderr, output.stdout) : [],
  }
}

function signalName(number: number): string {
  return Object.entries(constants.signals).find(([, value]) => value === number)?.[0] ?? `signal ${number}`
}
