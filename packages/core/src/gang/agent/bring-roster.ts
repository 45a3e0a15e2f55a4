import { buffer } from 'node:stream/consumers'
import type { Transport } from '../contract.js'
import { unpackFormation } from '../formation.js'
import { answer } from '../handshake.js'
import type { Formation, FormOrder } from '../protocol.js'

export interface RosterWay {
  readonly transport: Transport
  readonly key: Uint8Array
  readonly memberId: string
  /** Milliseconds that the parent has. */
  readonly leaseMs: number
  /** The owner gives it too. */
  ask(epoch: number): Promise<Uint8Array>
}

/**
 * The epoch's formation, packed and unpacked: as it came with the order; else from the parent in the tree, which hands
 * the same bytes on, so that the owner sends few of them; else, where that one is late or lost, from the owner.
 */
export async function bringRoster(
  order: FormOrder,
  packed: Uint8Array,
  way: RosterWay,
): Promise<{ formation: Formation; packed: Uint8Array }> {
  const { epoch, parent } = order
  if (packed.length === 0 && parent !== undefined) {
    try {
      const handed = await handedDown(parent, epoch, way)
      const formation = await unpackFormation(handed)
      if (formation.epoch === epoch) return { formation, packed: handed }
    } catch {
      // Whatever it was: the owner has it.
    }
  }
  const bytes = packed.length > 0 ? packed : await way.ask(epoch)
  return { formation: await unpackFormation(bytes), packed: bytes }
}

async function handedDown(parent: string, epoch: number, way: RosterWay): Promise<Uint8Array> {
  const { transport, key, memberId, leaseMs } = way
  const signal = AbortSignal.timeout(leaseMs)
  const { stream } = await transport.connect(parent, { signal })
  const cut = () => void stream.destroy(signal.reason)
  signal.addEventListener('abort', cut, { once: true })
  try {
    await answer(stream, key, { member: memberId, purpose: 'roster', epoch }, signal)
    return await buffer(stream)
  } finally {
    signal.removeEventListener('abort', cut)
    stream.destroy()
  }
}
