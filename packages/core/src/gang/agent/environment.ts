import type { AttemptAddress } from '../../datastore/records.js'
import type { MemberBootstrap } from '../contract.js'
import type { Formation, Work } from '../protocol.js'
import { shellEnvironment, shellPlaces } from '../shell/files.js'
import { isOuterRank } from './outer-rank.js'

/** What every process of a member gets: the agent's own, what the step adds, devices as they were assigned, its shell. */
export function memberEnvironment(
  { gpus, directory }: Pick<MemberBootstrap, 'gpus' | 'directory'>,
  work: Pick<Work, 'env' | 'needs'> | undefined,
): Readonly<Record<string, string>> {
  // gangflow may itself be a rank of some job (`srun --pty bash` is enough); what its members start is none of that.
  const own = Object.fromEntries(
    Object.entries(process.env).filter(
      (entry): entry is [string, string] => entry[1] !== undefined && !isOuterRank(entry[0]),
    ),
  )
  const env: Record<string, string> = {
    ...own,
    ...work?.env,
    ...(gpus.length > 0 ? { CUDA_VISIBLE_DEVICES: gpus.join(',') } : {}),
  }
  return work?.needs.ssh ? { ...env, ...shellEnvironment(shellPlaces(directory), env['PATH']) } : env
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
