import { GangflowError } from '@gangflow/core'
import type { Collectives } from '../../collectives/contract.js'

/** Who exchanges what, as seen from one member. */
export interface Links {
  /** Over all members: the workers first, then the servers. */
  readonly all: Collectives
  readonly workers: number
  readonly servers: number
  /** Over the workers; absent on a server. */
  readonly among?: Collectives
  /** A worker's with each server, or a server's with each worker: rank 0 is the worker, rank 1 the server. */
  readonly pairs: readonly Collectives[]
}

/** Of a pair, the ranks are those of all members in what a person reads. */
export async function named<T>(links: Links, other: number, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    throw renamed(links, other, error)
  }
}

/** The same for a call that blocks. */
export function namedSync<T>(links: Links, other: number, call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw renamed(links, other, error)
  }
}

function renamed({ all, workers }: Links, other: number, error: unknown): unknown {
  if (!(error instanceof GangflowError) || error.rank === undefined) return error
  const isWorker = all.rank < workers
  const rankOf = (rank: number) => ((rank === 0) === isWorker ? all.rank : other)
  return new GangflowError(
    {
      code: error.code,
      what: error.what.replace(/\brank ([01])\b/g, (_, rank) => {
        const number = rankOf(Number(rank))
        return `rank ${number} (${number < workers ? 'a worker' : 'a parameter server'})`
      }),
      fix: error.fix,
      rank: rankOf(error.rank),
    },
    { cause: error },
  )
}
