import { createHash } from 'node:crypto'
import { GangflowError } from '@gangflow/core'
import type { Collectives } from '../collectives/contract.js'

export type Facts = Readonly<Record<string, unknown>>

/** Every rank's facts, where they are not all the same; one small exchange where they are. Blocks. */
export function differing(collectives: Collectives, facts: Facts): readonly Facts[] | undefined {
  const { size } = collectives
  const own = new Uint8Array(Buffer.from(JSON.stringify(facts)))
  const digest = new Uint8Array(createHash('sha256').update(own).digest())
  const digests = collectives.allGatherSync(digest)
  const isAlike = digests.every((byte, at) => byte === digests[at % digest.length])
  if (isAlike) return undefined
  const lengths = collectives.allGatherSync(Int32Array.of(own.length))
  const width = Math.max(...lengths)
  const padded = new Uint8Array(width)
  padded.set(own)
  const all = Buffer.from(collectives.allGatherSync(padded))
  return Array.from(
    { length: size },
    (_, rank) => JSON.parse(all.toString('utf8', rank * width, rank * width + (lengths[rank] as number))) as Facts,
  )
}

/** Throws `E_TF_FIT` on every rank where the ranks' options differ. */
export function agreeOn(collectives: Collectives, call: string, facts: Facts): void {
  const all = differing(collectives, facts)
  if (all === undefined) return
  const [first] = all as [Facts]
  const text = (value: unknown) => JSON.stringify(value)
  const rank = all.findIndex((other) => text(other) !== text(first))
  const name = Object.keys(first).find((key) => text(first[key]) !== text(all[rank]?.[key])) ?? 'the call'
  throw new GangflowError({
    code: 'E_TF_FIT',
    what: `${call}: ${name} is ${text(all[rank]?.[name])} on rank ${rank}, ${text(first[name])} on rank 0`,
    fix: 'call it alike on every member, with the same data: each trains on its own part of every batch',
    rank,
  })
}
