import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { GangflowError } from '@gangflow/core'
import type { GangContext } from '@gangflow/core/plugin'
import type { RankFamily } from './family.js'
import type { TorchRunOptions, TorchrunOptions } from './options.js'
import { localSize, type PlanInput, planTorch, type TorchPlan } from './plan.js'
import { type Prefork, startPrefork } from './prefork.js'
import { findPython } from './python.js'
import { sharedEnvironment } from './rank-environment.js'
import { type Settings, settle } from './settings.js'

/** This package's Python files. */
const tools = fileURLToPath(new URL('../py', import.meta.url))

/** What the calls of one attempt on one member share. */
export interface Session {
  readonly gang: GangContext
  readonly options: TorchrunOptions
  readonly family: RankFamily
  /** Calls so far: the same number on every member names the same call. */
  calls: number
  /** Calls that have not settled. */
  open: number
  prefork: Prefork | undefined
}

/** A call as this member will perform it. */
export interface Prepared {
  /** As called: equal on all members. */
  readonly called: Settings
  /** As performed: `prefork` has become `direct` where it cannot serve. */
  readonly settings: Settings
  readonly python: readonly string[]
}

/** The directory below which each rank of this member has its GANGFLOW_OUTPUT_DIR. */
export function outputDirectory({ gang, family }: Pick<Session, 'gang' | 'family'>): string {
  return `${gang.temp}/${family.name}-output`
}

/** Checks a call before any member is asked; starts the prefork parent where the decorator did not. */
export async function prepare(session: Session, call: TorchRunOptions): Promise<Prepared> {
  const { gang, options, family } = session
  const called = settle(options, call, family)
  checkPlaces(gang, family, called)
  const python = findPython(called.python, gang.flowDir, process.env)
  if (called.launcher !== 'prefork') return { called, settings: called, python }
  session.prefork ??= await openPrefork(session, called, python)
  if (session.prefork.python.join('\0') === python.join('\0')) return { called, settings: called, python }
  console.error(`[gangflow] ${python.join(' ')} is not the preforked interpreter: its ranks are started directly`)
  return { called, settings: { ...called, launcher: 'direct' }, python }
}

/** The prefork parent with the environment of the ranks that it is to fork. */
export function openPrefork(
  { gang, family }: Pick<Session, 'gang' | 'family'>,
  settings: Settings,
  python: readonly string[],
): Promise<Prefork> {
  const input = planInput({ gang, family }, { called: settings, settings, python }, { number: 0, round: 0, port: '' })
  const env = sharedEnvironment(input, { localWorldSize: localSize(settings, input.nodes[gang.nodeIndex]!) })
  return startPrefork(gang, { python, tools, env })
}

export function planInput(
  { gang, family }: Pick<Session, 'gang' | 'family'>,
  prepared: Prepared,
  call: { readonly number: number; readonly round: number; readonly port: string },
): PlanInput {
  return {
    settings: prepared.settings,
    nodes: gang.roster.entries,
    node: gang.nodeIndex,
    masterAddr: gang.mainIp,
    masterPort: call.port,
    runId: `${gang.step}-${gang.taskId}-${gang.attempt}-${gang.epoch}-${call.number}${call.round ? `-${call.round}` : ''}`,
    // Epochs count from 1.
    restarts: gang.epoch - 1,
    temp: `${gang.temp}/${family.name}/${call.number}.${call.round}`,
    output: outputDirectory({ gang, family }),
    flowDir: gang.flowDir,
    python: prepared.python,
    tools,
    preforkDir: `${gang.temp}/prefork`,
    env: process.env,
    platform: process.platform,
  }
}

/** What a call would start on this member. */
export function planOf(session: Session, call: TorchRunOptions): TorchPlan {
  const { gang, options, family } = session
  const called = settle(options, call, family)
  const python = findPython(called.python, gang.flowDir, process.env)
  const port = called.masterPort === undefined ? '<masterPort>' : String(called.masterPort)
  const place = { number: session.calls + 1, round: 0, port }
  return planTorch(planInput(session, { called, settings: called, python }, place))
}

function checkPlaces(gang: GangContext, family: RankFamily, settings: Settings): void {
  const cwd = resolve(gang.flowDir, settings.cwd ?? '.')
  const facts = { step: gang.step, node: gang.nodeIndex }
  if (!statSync(cwd, { throwIfNoEntry: false })?.isDirectory())
    throw new GangflowError({
      ...facts,
      code: 'E_TORCH_OPTION',
      what: `${family.call}: there is no folder ${cwd}`,
      fix: "give `cwd` a folder, absolute or relative to the flow file's",
    })
  const script = resolve(cwd, settings.entrypoint)
  if (settings.module || statSync(script, { throwIfNoEntry: false })) return
  throw new GangflowError({
    ...facts,
    code: 'E_TORCH_SCRIPT',
    what: `there is no ${script}`,
    fix: `\`entrypoint\` is relative to ${cwd}; for a module on Python's path add \`module: true\``,
  })
}
