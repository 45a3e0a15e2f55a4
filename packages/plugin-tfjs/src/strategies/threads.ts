import { availableParallelism } from 'node:os'
import type { Roster } from '@gangflow/core'

/**
 * What TensorFlow's library reads when it is loaded: each member of a host gets its part of the cores, since more threads
 * than cores make all of them slow; and no greeting in every log. What the person has set stays.
 */
export function prepareLibrary({ entries }: Pick<Roster, 'entries'>, node: number, env = process.env): void {
  const here = entries.filter(({ host }) => host === entries[node]?.host).length
  const threads = String(Math.max(1, Math.floor(availableParallelism() / here)))
  env['TF_NUM_INTRAOP_THREADS'] ??= threads
  env['TF_NUM_INTEROP_THREADS'] ??= threads
  env['TF_CPP_MIN_LOG_LEVEL'] ??= '1'
}
