import { GangflowError } from '../errors/base.js'
import type { CurrentNamespaces, Parallel } from '../plugin/contract.js'
import { type OnPreempt, onPreempt } from './preempt.js'
import { type CurrentState, currentState } from './state.js'

/** What every step can ask of the task that runs it. */
export interface CurrentBase {
  /** Name of the flow's class. */
  readonly flow: string
  /** Id of the run. */
  readonly run: string
  readonly step: string
  /** Id of the task, unique within its step and run. */
  readonly task: string
  /** Counts from 0; a retry is the next one. */
  readonly attempt: number
  readonly user: string
  readonly tags: readonly string[]
  /** A directory for temporary files of this attempt, removed at its end. */
  readonly temp: string
  /**
   * Has a function called, once, when the task's job is about to be preempted or to reach its time limit: to save a checkpoint.
   * What it throws fails the step. Returns how to take it back. Never called where no engine warns: with `local` and `ssh`.
   */
  onPreempt(listener: OnPreempt): () => void
  /** The gang, on a gang step; elsewhere reading it is `E_CURRENT_NO_GANG`. */
  readonly parallel: Parallel
}

/** `CurrentBase` and whatever the imported plugins add. */
export type Current = CurrentBase & Readonly<CurrentNamespaces>

const base = ['flow', 'run', 'step', 'task', 'attempt', 'user', 'tags', 'temp'] as const

/** Names that no plugin can take as its namespace. */
export const reservedNamespaces: readonly string[] = [
  ...base,
  'onPreempt',
  'parallel',
  'constructor',
  'then',
  'toJSON',
  '__proto__',
]

const target = {}

/** The task that runs now. Reading it outside of a step is the error `E_CURRENT_OUTSIDE`. */
export const current = target as Current

/** What may be a named error to read is not enumerable, so that `{ ...current }` and JSON work in every step. */
function define(name: string, read: (state: CurrentState) => unknown, enumerable = false): void {
  Object.defineProperty(target, name, { enumerable, configurable: true, get: () => read(inside(name)) })
}

for (const name of base) define(name, (state) => state[name], true)
define('onPreempt', (state) => state.onPreempt ?? onPreempt)
define('parallel', (state) => {
  if (state.parallel !== undefined) return state.parallel
  throw new GangflowError({
    code: 'E_CURRENT_NO_GANG',
    what: `current.parallel was read in ${state.step}, which is no gang step`,
    fix: `lead to it with this.next(this.${state.step}, { numParallel: 4 })`,
    step: state.step,
  })
})

/** Gives `current` a getter for a plugin's namespace; on a step without the plugin it is a named error. */
export function defineNamespace(namespace: string, plugin: string): void {
  define(namespace, (state) => {
    if (state.namespaces.has(namespace)) return state.namespaces.get(namespace)
    if (state.fixFor)
      throw missing(
        `current.${namespace} was read in ${state.step}, and nothing was given for it`,
        state.fixFor(namespace),
        state,
      )
    const has = state.plugins.length > 0 ? `its plugins are: ${state.plugins.join(', ')}` : 'it has no plugin'
    throw missing(
      `current.${namespace} was read in ${state.step}, which has not the decorator of '${plugin}'; ${has}`,
      `put the decorator of '${plugin}' above ${state.step}`,
      state,
    )
  })
}

function missing(what: string, fix: string, { step }: CurrentState): GangflowError {
  return new GangflowError({ code: 'E_CURRENT_NAMESPACE_MISSING', what, fix, step })
}

function inside(name: string): CurrentState {
  const state = currentState()
  if (state !== undefined) return state
  throw new GangflowError({
    code: 'E_CURRENT_OUTSIDE',
    what: `current.${name} was read outside of a step`,
    fix: 'read it in a step, or in what a step calls, not while modules are loaded',
  })
}
