import { setTimeout as sleep } from 'node:timers/promises'
import type { CommandResult, GangContext, GangProcess, GangShell, GangShellChannel } from '@gangflow/core/plugin'
import type { Ranks } from './ranks.js'

/** A channel of the launcher to a daemon that ended as it should not. */
export interface LostChannel {
  readonly channel: GangShellChannel
  /** `performance.now()` when it was heard of. */
  readonly at: number
}

/** How a launch came to its end. */
export interface LaunchEnd {
  readonly result: CommandResult
  /** `performance.now()` when the launcher's end was heard of. */
  readonly endedAt: number
  /** Why we ended the launcher, when it did not end by itself. */
  readonly stopped?: 'failure' | 'hung' | 'late' | 'gang'
  /** Ranks that had not ended when it was stopped. */
  readonly running: readonly number[]
  /** In the order in which they were heard of. */
  readonly lost: readonly LostChannel[]
  /** Nodes to which the launcher itself has had a channel; daemons of others were started by daemons. */
  readonly reached: ReadonlySet<number>
}

/** After the first sign of a failure the launcher has so long to end by itself, and to say why. */
const SETTLE_MS = 1_000
/** And when all ranks have ended well, so long to notice it. */
const HUNG_MS = 5_000
/** Reports that are still on the way when the launcher has ended: with 0, and otherwise. */
const LATE_REPORTS_MS = 2_000
const LATE_FAILURES_MS = 300

/** Channels of the gang's remote shell that belong to one call: the daemons' command lines name its folder. */
export class Channels {
  readonly #lost: LostChannel[] = []
  readonly reached = new Set<number>()
  #listener: () => void = () => {}

  constructor(shell: GangShell, directory: string) {
    shell.onChannel((channel) => {
      if (!channel.command.includes(directory)) return
      this.reached.add(channel.node)
      if (channel.state !== 'ended') return
      if (channel.error === undefined && channel.exit?.code === 0) return
      this.#lost.push({ channel, at: performance.now() })
      this.#listener()
    })
  }

  get lost(): readonly LostChannel[] {
    return this.#lost
  }

  onChange(listener: () => void): void {
    this.#listener = listener
  }
}

/**
 * What Open MPI 5 says of a remote shell that has begun before its parent could put it into a group: it has done so itself,
 * so that nothing is wrong, but the line would stand among the last ones of a failure.
 */
const NOISE = /^.*plm:ssh: Warning: setpgid\(\d+,\d+\) failed in parent with errno=Permission denied\(13\)\r?\n+/gm

/**
 * Waits until the launcher has ended, by itself or by us: a launcher that has lost a daemon or a rank may never end, and
 * one that ended with 0 may have lost both. Never rejects.
 */
export async function supervise(
  gang: GangContext,
  launcher: GangProcess,
  watched: {
    readonly ranks: Ranks
    readonly channels: Channels
    readonly np: number
    readonly timeoutMs: number | undefined
  },
): Promise<LaunchEnd> {
  const { ranks, channels, np, timeoutMs } = watched
  const over = new AbortController()
  let endedAt = 0
  const ended = launcher.ended.then(() => {
    endedAt = performance.now()
    return undefined
  })
  const change = new Promise<'failure' | 'done'>((resolve) => {
    const look = () => {
      if (ranks.failed.length > 0 || channels.lost.length > 0 || ranks.closed) resolve('failure')
      else if (ranks.wellEnded(np)) resolve('done')
    }
    ranks.onChange(look)
    channels.onChange(look)
    look()
  })
  const settled = change.then(async (how) => {
    await after(how === 'done' ? HUNG_MS : SETTLE_MS, over.signal)
    return how === 'done' ? ('hung' as const) : ('failure' as const)
  })
  const stopped = await Promise.race([
    ended,
    settled,
    aborted(gang.signal, over.signal),
    ...(timeoutMs === undefined ? [] : [after(timeoutMs, over.signal).then(() => 'late' as const)]),
  ])
  over.abort()
  const running = ranks.all.filter(({ end }) => !end).map(({ rank }) => rank)
  if (stopped !== undefined) await launcher.stop().catch(() => {})
  const [result] = await launcher.ended
  if (stopped === undefined) await reported(ranks, np, result!.exitCode === 0 ? LATE_REPORTS_MS : LATE_FAILURES_MS)
  const { lost, reached } = channels
  return {
    result: { ...result!, stderr: result!.stderr.replaceAll(NOISE, '') },
    endedAt,
    ...(stopped === undefined ? {} : { stopped }),
    running,
    lost,
    reached,
  }
}

/** Every rank has reported its end, or it is clear that some will not. */
async function reported(ranks: Ranks, np: number, withinMs: number): Promise<void> {
  const until = performance.now() + withinMs
  while (performance.now() < until && !ranks.closed) {
    if (ranks.all.length === np && ranks.all.every(({ end }) => end)) return
    await sleep(5)
  }
}

async function after(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(Math.min(ms, 2_000_000_000), undefined, { signal }).catch(() => new Promise<never>(() => {}))
}

function aborted(signal: AbortSignal, over: AbortSignal): Promise<'gang'> {
  if (signal.aborted) return Promise.resolve('gang')
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve('gang'), { once: true, signal: over }))
}
