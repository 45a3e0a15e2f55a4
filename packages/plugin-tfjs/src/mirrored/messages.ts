import type { MessagePort } from 'node:worker_threads'
import type { CapturedFunction } from '@gangflow/core/parallel'
import type { BackendName } from '../backends/names.js'
import type { ThreadShare } from '../collectives/threads.js'
import type { SavedTraining } from '../strategies/checkpoint.js'
import type { StrategyOptions } from '../strategies/options.js'
import type { Carried } from './carried.js'

/** What the replicas have in common. */
export interface ReplicaSettings {
  readonly share: ThreadShare
  /** Of the program, whose TensorFlow.js is used. */
  readonly folder: string
  readonly backend: BackendName
  readonly options: StrategyOptions
  readonly timeoutMs?: number
}

export interface ReplicaStart extends ReplicaSettings {
  readonly role: 'replica'
  readonly rank: number
  readonly port: MessagePort
}

/** The thread that starts the replicas, and hears of their end while replica 0 is blocked. */
export interface WatchStart {
  readonly role: 'watch'
  readonly port: MessagePort
  readonly replicas: readonly ReplicaStart[]
}

/** Methods of a model that all replicas perform together. */
export type Method = 'fit' | 'fitDataset' | 'trainOnBatch' | 'evaluate' | 'predict'

export type ToReplica =
  | { readonly k: 'scope'; readonly build: CapturedFunction }
  /** Where replica 0 stands; sent to replicas that took the place of others. */
  | { readonly k: 'restore'; readonly model: number; readonly saved: SavedTraining }
  | {
      readonly k: 'call'
      /** Counts up. */
      readonly number: number
      readonly model: number
      readonly method: Method
      readonly given: Carried
      /** The weights of replica 0 are not those of the last call. */
      readonly sync: boolean
    }
  /** What replica 0's dataset gave next, in a call. */
  | { readonly k: 'batch'; readonly number: number; readonly given: Carried }
  /** Replica 0 has failed in a call: no more batches come. */
  | { readonly k: 'over'; readonly number: number }

/** An error as it travels. */
export interface ToldError {
  readonly name: string
  readonly message: string
  readonly stack: string
  readonly code?: string
}

export type FromReplica =
  /** How many models it has. */
  { readonly k: 'built'; readonly models: number } | { readonly k: 'failed'; readonly error: ToldError }

/** Of the watching thread. */
export interface Gone {
  readonly k: 'gone'
  readonly rank: number
  readonly how: string
  readonly error?: ToldError
}

export function toldError(thrown: unknown): ToldError {
  if (!(thrown instanceof Error)) return { name: 'Error', message: String(thrown), stack: '' }
  const { name, message, stack = '' } = thrown
  const { code } = thrown as { code?: unknown }
  return { name, message, stack, ...(typeof code === 'string' ? { code } : {}) }
}
