import { existsSync, mkdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CommandResult, GangContext, GangProcess } from '@gangflow/core/plugin'

/** The Python of this member that imports torch once and forks the ranks. */
export interface Prefork {
  readonly directory: string
  /** The interpreter with its options. */
  readonly python: readonly string[]
  readonly process: GangProcess
  readonly ended: Promise<CommandResult>
  /** Waits until relays find it, or it has ended; never longer than 10 s. */
  ready(): Promise<void>
}

/** Starts it; it listens at once and answers when it has imported torch. */
export async function startPrefork(
  gang: GangContext,
  options: { python: readonly string[]; tools: string; env: Readonly<Record<string, string>> },
): Promise<Prefork> {
  const directory = `${gang.temp}/prefork`
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const process = await gang.start([gang.nodeIndex], {
    name: 'prefork',
    argv: [...options.python, '-u', `${options.tools}/prefork.py`, directory],
    env: options.env,
    cwd: gang.flowDir,
  })
  let over = false
  const ended = process.ended.then((results) => {
    over = true
    return results[0]!
  })
  return {
    directory,
    python: options.python,
    process,
    ended,
    async ready() {
      const deadline = performance.now() + 10_000
      while (!over && performance.now() < deadline && !existsSync(`${directory}/prefork.sock`)) await sleep(5)
    },
  }
}
