import { AsyncLocalStorage } from 'node:async_hooks'
import type { Parallel } from '../plugin/contract.js'
import type { CurrentBase } from './current.js'

/** What `current` answers from while a task runs. */
export interface CurrentState extends Omit<CurrentBase, 'parallel' | 'onPreempt'> {
  /** Of a test of a step. */
  readonly onPreempt?: CurrentBase['onPreempt']
  /** Present on a gang step. */
  readonly parallel?: Parallel
  /** What the plugins' `setup` gave, by namespace. The body adds to it as they settle. */
  readonly namespaces: Map<string, unknown>
  /** Names of the plugins on the step, for errors. */
  readonly plugins: readonly string[]
  /** What to do about a missing namespace, where it is not to add the decorator. */
  readonly fixFor?: (namespace: string) => string
}

interface Holder {
  readonly storage: AsyncLocalStorage<CurrentState>
  /** The one task of this process: for callbacks that lost their asynchronous context. */
  process: CurrentState | undefined
}

// Shared by all entries and copies of core in this process, so that a plugin's copy sees the body's task.
const key = Symbol.for('@gangflow/core.current')
const shared = globalThis as { [key]?: Holder }
shared[key] ??= { storage: new AsyncLocalStorage(), process: undefined }
const holder: Holder = shared[key]

/** Runs a function with `current` answering from `state`, also in whatever it starts. */
export function withCurrent<T>(state: CurrentState, run: () => T): T {
  return holder.storage.run(state, run)
}

/** Makes `state` the answer wherever no other is known: for a process that runs one task at a time. */
export function setProcessCurrent(state: CurrentState | undefined): void {
  holder.process = state
}

/** The state now, or undefined outside of a task. */
export function currentState(): CurrentState | undefined {
  return holder.storage.getStore() ?? holder.process
}
