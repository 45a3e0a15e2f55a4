import { rmSync } from 'node:fs'
import { makeRunDirectory } from '../body/run-directory.js'
import { usePart } from '../body/used-parts.js'
import type { RelayServer } from '../datastore/relay/server.js'
import type { Allocation, RunGang } from './contract.js'
import { deriveKey, drawSecret } from './keys.js'
import { needsOf } from './needs.js'
import { byEngine } from './owner/by-engine.js'
import { type Console, openConsole } from './owner/console.js'
import { pack } from './owner/deliver.js'
import { stopGang } from './owner/ending.js'
import { OwnedGang } from './owner/gang.js'
import { watchSilence } from './owner/lease.js'
import type { OwnedMember } from './owner/members.js'
import { obtain } from './owner/obtain.js'
import { openEpoch } from './owner/open-epoch.js'
import { fail, fault, succeed } from './owner/outcome.js'
import { watchPhases } from './owner/phases.js'
import { reform } from './owner/reform.js'
import { serveStore } from './owner/serve-store.js'
import { takeIn } from './owner/take-in.js'
import { openWay } from './owner/way.js'
import { defaultTimeouts } from './timeouts.js'

/**
 * One attempt of a gang step, owned by this process (launcher or script): forms the gang, watches over it, ends it.
 * Never rejects for what happens to the gang: that is the verdict.
 */
export const runGang: RunGang = async (attempt) => {
  usePart('gang')
  const gang = new OwnedGang(attempt, { ...defaultTimeouts, ...attempt.timeouts })
  const directory = makeRunDirectory()
  const startedAt = Date.now()
  let allocation: Allocation | undefined
  let store: RelayServer | undefined
  let endWatch = () => {}
  let looking: Console | undefined
  let leaving: Promise<void> | undefined
  try {
    const secret = drawSecret()
    const derive = (label: string) => deriveKey(secret, attempt.request.address, label)
    const way = await openWay(attempt.backend.transport ?? 'unix', directory, derive)
    const close = async () => {
      await looking?.close()
      store?.close()
      await way.close()
      await allocation?.release()
      rmSync(directory, { recursive: true, force: true })
    }
    try {
      await gang.takeUp()
      if (await pack(gang)) {
        store = await serveStore(attempt, gang.timeouts)
        allocation = await obtain(gang, secret, way.listener.address)
      }
      if (allocation) {
        takeIn(gang, allocation, way.listener, secret, store)
        endWatch = watchSilence(gang)
        // A gang in which nobody can look around is none the worse.
        looking = await openConsole(gang, directory, way).catch(() => undefined)
        for (;;) {
          if (await openEpoch(gang)) await runEpoch(gang)
          if (isWhole(gang)) {
            const success = await succeed(gang, startedAt)
            leaving = success.leaving
            if (leaving && !attempt.keep) await leaving
            return success.outcome
          }
          const engine = allocation.why?.()
          const stopped = await stopGang(gang)
          const ends = await engine
          if (ends) return await fail(gang, await byEngine(gang, stopped, ends))
          if (!(await reform(gang, allocation, stopped))) {
            // Ended by the runtime while it was formed again: then the loss is not why.
            return await fail(gang, gang.stop && gang.forming ? undefined : stopped)
          }
        }
      }
      return await fail(gang)
    } finally {
      endWatch()
      gang.closed = true
      if (leaving && attempt.keep) attempt.keep(leaving.finally(close))
      else await close()
    }
  } catch (error) {
    return fault(gang, error)
  } finally {
    if (!leaving) rmSync(directory, { recursive: true, force: true })
  }
}

/** Watches over an open epoch until every body has done its part, or something failed. */
async function runEpoch(gang: OwnedGang): Promise<void> {
  const endPhases = watchPhases(gang)
  try {
    await gang.until(() => bodies(gang).every((member) => member.done))
  } finally {
    endPhases()
  }
}

const isWhole = (gang: OwnedGang): boolean =>
  gang.failures.length === 0 && !gang.stop && gang.epoch > 0 && !gang.forming

/** The members whose body the end of the step waits for. */
function bodies(gang: OwnedGang): OwnedMember[] {
  return needsOf(gang.attempt.request.step).body === 'control' ? gang.ordered.slice(0, 1) : gang.ordered
}
