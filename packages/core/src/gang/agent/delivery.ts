import { join } from 'node:path'
import { isPackageRef, type LocalFlow } from '../../compile/package/contract.js'
import { defaultCodeCache } from '../../compile/package/install/cache-folder.js'
import { installPackage } from '../../compile/package/install/install-package.js'
import type { Datastore } from '../../datastore/contract.js'
import { GangflowError, messageOf } from '../../errors/base.js'
import type { Delivered, Failure, Work } from '../protocol.js'
import type { Place } from './failures.js'

/** Milliseconds after which the owner is answered though nothing is new. */
const POLL_MS = 1000

/** The flow's code on its way to this host. */
export class Delivery {
  #moved = 0
  #signs = 0
  #whole = false
  #changed: (() => void)[] = []

  /** The paths of the flow here; made of its package where the work says so. */
  async bring(work: Work, store: Datastore, cache: string | undefined, signal: AbortSignal): Promise<LocalFlow> {
    const { compiled } = work
    if (!isPackageRef(compiled)) return compiled
    const folder = cache === undefined ? defaultCodeCache() : join(cache, 'code')
    const progress = ({ moved }: { moved: number }) => {
      this.#moved = moved
      this.#signs += 1
    }
    const local = await installPackage(store, compiled, folder, signal, { progress })
    this.#whole = true
    for (const tell of this.#changed.splice(0)) tell()
    return local
  }

  /** Answers when it is whole, or after a second. */
  async told(): Promise<Delivered> {
    if (!this.#whole) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, POLL_MS)
        this.#changed.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
    return { moved: this.#moved, signs: this.#signs, whole: this.#whole }
  }
}

/** The code could not be brought here: said before any body starts. */
export function failureOfDelivery(error: unknown, place: Place): Failure {
  const facts = GangflowError.is(error) ? error : undefined
  const message = messageOf(error)
  return {
    casualty: { ...place, kind: 'member', error: { message, ...(facts ? { code: facts.code } : {}) } },
    cause: facts?.code === 'E_CODE_PLATFORM' ? 'user' : 'infrastructure',
    weight: 'own',
    code: facts?.code ?? 'E_GANG_AGENT_FAULT',
    summary: `the flow's code could not be brought to ${place.host}: ${facts?.what ?? message}`,
    ...(facts?.fix ? { fix: facts.fix } : {}),
  }
}
