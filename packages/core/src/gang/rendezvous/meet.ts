import { setTimeout as pause } from 'node:timers/promises'
import { GangflowError } from '../../errors/base.js'
import type { Connection, Transport } from '../contract.js'
import { answer, type Hello } from '../handshake.js'
import type { Rendezvous } from './contract.js'

/** Milliseconds between two tries to reach who is not there yet. */
const AGAIN_MS = 100

/**
 * Finds whoever takes members in and proves to be one. Who is not there yet is tried again until the signal; a refusal
 * with a reason is final.
 */
export async function meet(
  rendezvous: Rendezvous,
  transport: Transport,
  { key, hello, signal, own }: { key: Uint8Array; hello: Hello; signal: AbortSignal; own?: boolean },
): Promise<Connection> {
  let notAt: string | undefined
  for (;;) {
    const address = await rendezvous.find({ signal, ...(notAt === undefined ? {} : { notAt }) })
    try {
      const connection = await transport.connect(address, { signal, ...(own ? { own } : {}) })
      await answer(connection.stream, key, hello, signal)
      return connection
    } catch (error) {
      const code = GangflowError.is(error) ? error.code : ''
      if (signal.aborted || (code !== 'E_GANG_REFUSED' && code !== 'E_GANG_UNREACHABLE')) throw error
      // Where another may come, the next version is looked for; elsewhere the same one may only be late.
      notAt = rendezvous.kind === 'datastore' && code === 'E_GANG_REFUSED' ? address : undefined
      await pause(AGAIN_MS)
    }
  }
}
