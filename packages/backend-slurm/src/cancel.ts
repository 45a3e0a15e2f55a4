import { setTimeout as wait } from 'node:timers/promises'
import { GangflowError } from '@gangflow/core'
import { silenceOf, slurmCommand, unanswered } from './command.js'
import { AGAIN_MS } from './submit.js'

/** Milliseconds in which wishes for an end are gathered into one scancel. */
const GATHER_MS = 10
/** Milliseconds for the controller to hear one: as long as a backup needs to take over, unless a site sets SlurmctldTimeout higher. */
const HEARD_MS = 120_000
/** And for the word that is on its way, of whoever waits no longer. */
const LAST_MS = 5_000
/** As many of an array's elements are named one by one. */
const NAMED = 5

interface Wish {
  readonly id: string
  /** Waits no longer: what is not heard at once is given up. */
  readonly signal: AbortSignal | undefined
  note(text: string): void
}

/** Tells the controller that jobs are to end, until it has heard it. */
export class Cancels {
  #gathering: { readonly wishes: Wish[]; readonly done: Promise<void> } | undefined
  readonly #closed = new AbortController()

  /** Rejects with `E_SLURM_UNHEARD` two minutes later, or soon after `signal`: the job may then go on. */
  cancel(wish: Wish): Promise<void> {
    const wishes = this.#gathering?.wishes ?? []
    wishes.push(wish)
    this.#gathering ??= {
      wishes,
      done: pause(GATHER_MS).then(() => {
        this.#gathering = undefined
        return this.#tell(wishes)
      }),
    }
    return this.#gathering.done
  }

  close(): void {
    this.#closed.abort()
  }

  /** Whoever wants to wait no longer for one of them ends a whole run. */
  async #tell(wishes: readonly Wish[]): Promise<void> {
    const ids = wishes.map(({ id }) => id)
    const began = performance.now()
    const limit = limitOf(new Set(wishes.flatMap(({ signal }) => signal ?? [])), this.#closed.signal)
    let why = 'it does not answer'
    let told = false
    try {
      while (!limit.signal.aborted) {
        const answer = await slurmCommand(['scancel', ...ids], '', limit.signal)
        if (!unanswered(answer)) return
        why = silenceOf(answer)
        if (!told)
          for (const { note } of wishes)
            note(`waits up to ${HEARD_MS / 1_000} s for Slurm to hear that its job is to end: ${why}`)
        told = true
        await pause(AGAIN_MS, limit.asked)
      }
    } catch (error) {
      if (!limit.asked.aborted) why = (error as Error).message
    } finally {
      limit.clear()
    }
    throw unheard(ids, (performance.now() - began) / 1_000, why)
  }
}

interface Limit {
  /** Aborted at the deadline, when nobody listens any more, or a little after somebody waits no longer. */
  readonly signal: AbortSignal
  /** And then: nothing is begun after it. */
  readonly asked: AbortSignal
  clear(): void
}

function limitOf(signals: ReadonlySet<AbortSignal>, closed: AbortSignal): Limit {
  const limit = new AbortController()
  const asked = new AbortController()
  const end = () => {
    asked.abort()
    limit.abort()
  }
  const timers = [setTimeout(end, HEARD_MS)]
  const soon = () => {
    asked.abort()
    timers.push(setTimeout(end, LAST_MS))
  }
  if (closed.aborted) end()
  closed.addEventListener('abort', end, { once: true })
  for (const signal of signals)
    if (signal.aborted) soon()
    else signal.addEventListener('abort', soon, { once: true })
  return {
    signal: limit.signal,
    asked: asked.signal,
    clear: () => {
      for (const timer of timers) clearTimeout(timer)
      closed.removeEventListener('abort', end)
      for (const signal of signals) signal.removeEventListener('abort', soon)
    },
  }
}

function unheard(ids: readonly string[], seconds: number, why: string): GangflowError {
  const names = ids.length > NAMED ? [...new Set(ids.map((id) => id.split('_')[0]!))] : ids
  const several = names.length > 1
  return new GangflowError({
    code: 'E_SLURM_UNHEARD',
    what: `Slurm has not heard in ${Math.round(seconds)} s that job${several ? 's' : ''} ${names.join(', ')} ${several ? 'are' : 'is'} to end, and may still run ${several ? 'them' : 'it'}: ${why}`,
    fix: `once Slurm answers, \`squeue --jobs=${names.join(',')}\` tells what is left, and \`scancel ${names.join(' ')}\` ends it`,
  })
}

const pause = (ms: number, signal?: AbortSignal): Promise<void> => wait(ms, undefined, { signal })
