import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { deferred } from '../../body/deferred.js'
import { messageOf } from '../../errors/base.js'
import type { Casualty } from '../../errors/verdict.js'
import type { StopReason } from '../contract.js'
import type { Account, StopOrder } from '../protocol.js'
import { failureOfKill } from './failures.js'
import { evidenceOf } from './reports.js'
import type { MemberState } from './state.js'
import { performUndos } from './undo.js'

/** The two phases of a member's end (D4); each is performed once, and whoever asks gets the same account. */
export class Ending {
  #stopping: Promise<Account> | undefined
  #finishing: Promise<Account> | undefined

  constructor(private readonly state: MemberState) {}

  /** TERM to everything here, KILL after the grace. The first order counts. */
  halt(order: StopOrder): Promise<Account> {
    this.#stopping ??= halt(this.state, order)
    return this.#stopping
  }

  /** The end of the linger: nothing of the user runs here any more, undos are done, logs are stored. */
  finish(): Promise<Account> {
    this.#finishing ??= this.#finish()
    return this.#finishing
  }

  async #finish(): Promise<Account> {
    const { state } = this
    state.closing = true
    const { stopped } = await this.halt({
      why: 'the gang has ended',
      cause: 'cancelled',
      graceMs: state.boot.timeouts.stopGrace,
    })
    return { stopped, complaints: await settle(state), killed: [] }
  }
}

async function halt(state: MemberState, order: StopOrder): Promise<Account> {
  state.stoppedAt = performance.now()
  const { body, formed, place } = state
  const running = body && !body.ended
  const evidence = evidenceOf(state)
  const reason: StopReason = { cause: order.cause, why: order.why, graceMs: order.graceMs }
  state.stop.abort(reason)
  const [outcome, commands] = await Promise.all([
    running ? body.run.outcome : undefined,
    formed?.commands.stopAll(order.graceMs) ?? [],
  ])
  const stopped: Casualty[] = [...commands]
  if (outcome) stopped.unshift({ ...(outcome.ok ? { kind: 'body', process: 'body' } : outcome.casualty), ...place })
  // What escaped its parent (a daemon, a double fork) still hangs below the keeper.
  const graceMs = Math.min(order.graceMs, state.boot.timeouts.stopGrace)
  await state.parts.keeper?.stopAll({ graceMs }).catch(() => {})
  const now = performance.now()
  return {
    stopped,
    complaints: [],
    killed: evidence.map(({ casualty, exit }) => ({
      kind: 'failed',
      ageMs: now - exit.at,
      failure: failureOfKill(casualty, exit, place),
    })),
  }
}

/** One epoch is over and this member goes on: nothing of it stays here. Gives what did not work, in words. */
export async function endEpoch(state: MemberState): Promise<string[]> {
  const { parts, formed, boot } = state
  // Who waits for an epoch that came to nothing waits for the next.
  if (formed) state.gate = deferred()
  const complaints = await undo(state)
  complaints.push(...(await logged(state)))
  await parts.live?.flush()
  if (formed) {
    formed.pulses.close()
    formed.channels.close()
    for (const connection of formed.incoming) connection.close()
    await Promise.allSettled([formed.peers.close(), formed.services.close()])
  }
  parts.shell?.renew()
  for (const name of existsSync(boot.member.temp) ? readdirSync(boot.member.temp) : [])
    rmSync(join(boot.member.temp, name), { recursive: true, force: true })
  state.formed = undefined
  state.body = undefined
  state.failure = undefined
  state.stop = new AbortController()
  state.stoppedAt = Number.POSITIVE_INFINITY
  return complaints
}

/** Performs the undos and waits for the logs; gives what did not work, in words. */
async function settle(state: MemberState): Promise<string[]> {
  const complaints = await undo(state)
  if (!state.parts.keeper) return complaints
  complaints.push(...(await logged(state)))
  await state.parts.live?.drain()
  return complaints
}

async function undo(state: MemberState): Promise<string[]> {
  const { keeper } = state.parts
  if (!keeper) return []
  const { directory, spool } = state.boot.member
  return performUndos(directory, keeper, { env: state.env, cwd: state.cwd, spool })
}

async function logged(state: MemberState): Promise<string[]> {
  const complaints: string[] = []
  await state.body?.run.logged.catch((error: unknown) =>
    complaints.push(`the log of node ${state.place.node}: ${messageOf(error)}`),
  )
  complaints.push(...((await state.formed?.commands.logged()) ?? []))
  return complaints
}
