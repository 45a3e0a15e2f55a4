import { type ChildProcess, spawn } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Verdict } from '../../../packages/core/src/errors/verdict.js'
import type { RunEvent, RunResult } from '../../../packages/core/src/runtime/contract.js'
import type { TestHosts } from '../../hosts/index.js'
import { slack, sleep } from '../../support/gang.js'
import { keysNow, pidInside, RunProcesses, type Seen, spaceOf } from './processes.js'

const core = new URL('../../../packages/core', import.meta.url).pathname
const escaper = new URL('../../../packages/core/test/process/fixtures/escape.py', import.meta.url).pathname

export type Place = 'local' | 'ssh'
export type Phase = 'join' | 'setup' | 'body' | 'teardown'

export interface SceneOptions {
  readonly place: Place
  readonly phase: Phase
  readonly size: number
  readonly hosts?: TestHosts
  /** Seconds for which the step works and then ends well; default: it waits for the fault. */
  readonly works?: number
  /** What its step does; default: it waits in the phase, or works. */
  readonly mode?: 'writes'
  /** Where the datastore lies; default: beside the flow. */
  readonly datastore?: string
  /** Further variables of the launcher. */
  readonly env?: Readonly<Record<string, string>>
  /** Milliseconds, `GangTimeouts`. */
  readonly timeouts?: Readonly<Record<string, number>>
}

/** The processes of one member, as this machine numbers them. */
export interface MemberProcesses {
  readonly agent: Seen
  readonly keeper?: Seen
  readonly body?: Seen
  readonly rank?: Seen
}

/** A folder with the flow; one serves all scenes. */
export function makeProject(): { file: string; remove(): void } {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'gangflow-faults-')))
  mkdirSync(join(folder, 'node_modules', '@gangflow'), { recursive: true })
  symlinkSync(core, join(folder, 'node_modules', '@gangflow', 'core'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  copyFileSync(new URL('./flow.ts', import.meta.url).pathname, join(folder, 'flow.ts'))
  copyFileSync(escaper, join(folder, 'escape.py'))
  return {
    file: join(folder, 'flow.ts'),
    remove: () => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }),
  }
}

/** One run of the flow by the command, to which something is done. */
export class Scene {
  readonly child: ChildProcess
  readonly processes: RunProcesses
  readonly events: RunEvent[] = []
  readonly exited: Promise<number | null>
  readonly timeouts: Readonly<Record<string, number>>
  errors = ''
  ended = false
  #held: number | undefined

  constructor(
    file: string,
    readonly options: SceneOptions,
  ) {
    const { place, phase, size, hosts, works } = options
    this.timeouts = { lease: place === 'local' ? 2_000 : 3_000, linger: 5_000, join: 30_000, ...options.timeouts }
    const mode = options.mode ?? (works === undefined ? phase : `work:${works}`)
    const datastore = options.datastore ?? join(file, '..', 'store')
    const argv = ['run', file, '--json', '--datastore', datastore, '--env', `MODE=${mode}`, '--env', `SIZE=${size}`]
    if (hosts) argv.push('--hosts', hosts.names.slice(0, size).join(','), '--ssh-config', hosts.config)
    const spaces = new Set((hosts?.hosts ?? []).flatMap(({ state }) => spaceOf(state.init.pid) ?? []))
    const before = keysNow()
    this.child = spawn(process.execPath, [join(core, 'dist', 'cli.cjs'), ...argv], {
      env: { ...process.env, ...options.env, GANGFLOW_GANG_TIMEOUTS: JSON.stringify(this.timeouts) },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    this.processes = new RunProcesses(this.child.pid!, spaces, before)
    let rest = ''
    this.child.stdout!.on('data', (data: Buffer) => {
      const parts = (rest + data).split('\n')
      rest = parts.pop()!
      for (const part of parts) this.events.push(JSON.parse(part) as RunEvent)
    })
    this.child.stderr!.on('data', (data: Buffer) => {
      this.errors += data
    })
    this.exited = new Promise((resolve) =>
      this.child.once('close', (code) => {
        this.ended = true
        resolve(code)
      }),
    )
  }

  /**
   * Waits until it is in the phase: each member has said that it is ready; for `join`, until its agents are there, of
   * which one is held until `release`.
   */
  async ready(held = 0): Promise<void> {
    const { phase, size } = this.options
    if (phase === 'join') {
      const host = this.options.hosts?.hosts[held]
      const space = host && spaceOf(host.state.init.pid)
      const agent = () => (space === undefined ? this.agents()[held] : this.agents().find((one) => one.space === space))
      await this.until(() => agent() !== undefined, 'the agent to be held')
      this.#held = agent()!.pid
      kill(this.#held, 'SIGSTOP')
    }
    await this.until(() => (phase === 'join' ? this.agents().length === size : this.pids('READY').size === size), phase)
    this.processes.look()
  }

  /** Lets the member go on that was held. */
  release(): void {
    if (this.#held !== undefined) kill(this.#held, 'SIGCONT')
  }

  async until(holds: () => boolean, what: string, ms = 30_000 * slack): Promise<void> {
    for (const deadline = performance.now() + ms; !holds(); await sleep(10)) {
      if (this.ended) throw new Error(`the run ended before: ${what}\n${this.said()}`)
      if (performance.now() > deadline) throw new Error(`not within ${ms} ms: ${what}\n${this.said()}`)
    }
  }

  said(): string {
    const lines = this.events.map((event) => JSON.stringify(event).slice(0, 400))
    return [...lines.slice(-30), this.errors].join('\n')
  }

  /** By node: the process that said the word with its number. */
  pids(word: string): Map<number, number> {
    const found = new Map<number, number>()
    for (const event of this.events) {
      if (event.type !== 'line' || event.process !== 'body') continue
      const match = new RegExp(`^${word} (\\d+)`).exec(event.text)
      if (match) found.set(event.node ?? 0, Number(match[1]))
    }
    return found
  }

  agents(): Seen[] {
    const { hosts } = this.options
    const { agents } = this.processes.look()
    if (!hosts) return agents.sort((a, b) => a.pid - b.pid)
    // By host, which is by node.
    return hosts.hosts.flatMap(({ state }) => agents.filter(({ space }) => space === spaceOf(state.init.pid)))
  }

  /** The processes of a node, once its body has said that it is ready; before, of the agent that was started so-manieth. */
  member(node: number): MemberProcesses {
    const { all } = this.processes.look()
    const { place, phase } = this.options
    const child = (of: Seen, fits: (one: Seen) => boolean) => all.find((one) => one.parent === of.pid && fits(one))
    if (phase === 'join') {
      const agent = this.agents()[node]!
      const keeper = child(agent, ({ words }) => words[0]?.endsWith('gangflow-keeper') === true)
      return { agent, ...(keeper ? { keeper } : {}) }
    }
    const said = this.pids('READY').get(node)
    const agents = this.agents()
    const body = all.find(({ pid, space }) =>
      place === 'local' ? pid === said : space === agents[node]?.space && inside(pid) === said,
    )!
    const keeper = all.find(({ pid }) => pid === body.parent)!
    const rank = child(keeper, ({ words }) => words.some((word) => word.endsWith('escape.py')))
    return { agent: all.find(({ pid }) => pid === keeper.parent)!, keeper, body, ...(rank ? { rank } : {}) }
  }

  /** The launcher's exit code, null where a signal ended it; rejects when it takes longer. */
  async end(limitMs: number): Promise<number | null> {
    const late = new AbortController()
    const over = sleep(limitMs).then(() => {
      if (!late.signal.aborted) throw new Error(`the launcher has not ended within ${limitMs} ms\n${this.said()}`)
      return null
    })
    return await Promise.race([this.exited, over]).finally(() => late.abort())
  }

  /** Milliseconds from now until no process of the user is left; rejects after the limit. */
  async usersGone(from: number, limitMs: number): Promise<number> {
    for (;;) {
      const { users } = this.processes.look()
      if (users.length === 0) return performance.now() - from
      if (performance.now() - from > limitMs)
        throw new Error(
          `alive after ${limitMs} ms: ${users.map(({ pid, words }) => `${pid} ${words.join(' ')}`)}\n${this.said()}`,
        )
      await sleep(25)
    }
  }

  /**
   * Milliseconds until nothing of the run is left at all, no agent and no keeper; `cut`: but the host's own keeper, which
   * waits for a launcher that it may not hear for long, and the shell that it was started from.
   */
  async allGone(from: number, limitMs: number, cut = false): Promise<number> {
    const waits = ({ words }: Seen) => words[0]?.endsWith('gangflow-keeper') || words.join(' ').startsWith('sh -s')
    for (;;) {
      const { all, users, agents } = this.processes.look()
      const left = cut ? [...users, ...agents, ...all.filter((one) => !waits(one))] : all
      if (left.length === 0) return performance.now() - from
      if (performance.now() - from > limitMs)
        throw new Error(
          `left after ${limitMs} ms:\n${left.map(({ pid, words }) => `${pid} ${words.join(' ')}`).join('\n')}`,
        )
      await sleep(50)
    }
  }

  get result(): RunResult | undefined {
    const event = this.events.find((one) => one.type === 'run-ended')
    return event?.type === 'run-ended' ? event.result : undefined
  }

  get verdict(): Verdict | undefined {
    return this.result?.error?.verdict
  }

  /** Ends what a failed test has left. */
  async clear(): Promise<void> {
    const { all } = this.processes.look()
    for (const { pid } of all) kill(pid, 'SIGKILL')
    this.child.kill('SIGKILL')
    await this.exited
  }
}

function inside(pid: number): number | undefined {
  try {
    return pidInside(pid)
  } catch {
    return undefined
  }
}

export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended meanwhile.
  }
}
