import type { AttemptAddress } from '../../datastore/records.js'
import type { Formation } from '../protocol.js'

/** What every process of a member gets: the agent's own, what the step adds, devices as they were assigned. */
export function memberEnvironment(
  added: Readonly<Record<string, string>>,
  gpus: readonly string[],
): Readonly<Record<string, string>> {
  const own = Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  )
  return { ...own, ...added, ...(gpus.length > 0 ? { CUDA_VISIBLE_DEVICES: gpus.join(',') } : {}) }
}

/** Facts of the gang for the commands that run in it. */
export function gangFacts(
  address: AttemptAddress,
  { epoch, roster }: Formation,
  node: number,
): Readonly<Record<string, string>> {
  const link = roster.entries[node]?.interface
  return {
    GANGFLOW_FLOW: address.flow,
    GANGFLOW_RUN: address.run,
    GANGFLOW_STEP: address.step,
    GANGFLOW_TASK: address.task,
    GANGFLOW_ATTEMPT: String(address.attempt),
    GANGFLOW_EPOCH: String(epoch),
    GANGFLOW_NODE: String(node),
    GANGFLOW_NUM_NODES: String(roster.entries.length),
    GANGFLOW_MAIN_IP: roster.entries[0]?.addresses[0] ?? '127.0.0.1',
    ...(link === undefined ? {} : { GANGFLOW_INTERFACE: link }),
  }
}
