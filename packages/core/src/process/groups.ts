import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, openSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import type { HeldPort, HoldRequest, Keeper, KeptProcess, ProcessExit, SpawnRequest, StopOptions } from './contract.js'
import { keeperLost, nameTaken, portError, stage, startError, unkillable } from './errors.js'
import { GroupProcess } from './groups-process.js'
import { environmentOf, listProcesses, type ProcessFacts } from './identity.js'
import type { KeeperOptions } from './options.js'
import { spoolFile } from './spool.js'
import { startWatchdog, type Watchdog } from './watchdog.js'

const KILL_PATIENCE = 30_000

/**
 * The keeper where no native helper exists: process groups, sessions, ancestry as far as it can be seen, and the
 * marker. Not promised here: that what leaves its session, clears its environment and loses its parent is found;
 * a lease; and that a held port is refused to others.
 */
export class GroupsKeeper implements Keeper {
  readonly native = false
  readonly pid: number
  readonly closed: Promise<ProcessExit>
  readonly #watchdog: Watchdog
  readonly #running = new Map<GroupProcess, SpawnRequest>()
  readonly #files = new Set<string>()
  readonly #ports = new Set<number>()
  #close!: (exit: ProcessExit) => void
  #over = false
  #count = 0

  constructor(private readonly options: KeeperOptions) {
    this.#watchdog = startWatchdog(options.mark, options.graceMs ?? 500)
    this.pid = this.#watchdog.process.pid ?? process.pid
    this.closed = new Promise((resolve) => {
      this.#close = resolve
    })
  }

  async spawn(request: SpawnRequest): Promise<KeptProcess> {
    if (this.#over) throw keeperLost(this.pid, 'it was closed')
    const file = request.spool === undefined ? undefined : spoolFile(request.spool, request.name)
    if (file !== undefined && this.#files.has(file)) throw nameTaken(request, file)
    const spool = file === undefined ? undefined : openSpool(request, file)
    const key = `groups.${process.pid}.${this.#count++}`
    const child = await launch(request, { GANGFLOW_MARK: this.options.mark, GANGFLOW_KEPT: key })
    const kept = new GroupProcess(
      request.name,
      key,
      child,
      spool,
      (one, options) => this.#end([one], options, one.name),
      (one, signal) => {
        for (const { pid } of this.#tree([one])) this.#signal(pid, signal)
      },
    )
    this.#running.set(kept, request)
    if (file !== undefined) this.#files.add(file)
    this.#tell()
    void kept.exited.then(() => {
      if (file !== undefined) this.#files.delete(file)
      // Its group is still named while something of it lives.
      if (this.#tree([kept]).length === 0) this.#forget(kept)
    })
    if (request.stdin instanceof Uint8Array) {
      void kept.write(request.stdin).catch(() => {})
      kept.endStdin()
    }
    return kept
  }

  /** A port that is free now. It cannot be held without listening: until it is used, others may take it. */
  async hold(request: HoldRequest): Promise<HeldPort> {
    for (let attempt = 0; attempt < 200; attempt++) {
      const port = request.port ?? 10_240 + Math.floor(Math.random() * 20_000)
      const taken = this.#ports.has(port) ? 'EADDRINUSE' : await bindable(port, request.host)
      if (taken === undefined) {
        this.#ports.add(port)
        return { port, release: async () => void this.#ports.delete(port) }
      }
      if (request.port !== undefined || taken !== 'EADDRINUSE') throw portError(request, taken)
    }
    throw portError(request, 'EADDRINUSE')
  }

  stopAll(options: StopOptions): Promise<void> {
    return this.#end([...this.#running.keys()], options, 'what this keeper started')
  }

  async close(options: StopOptions = { graceMs: 500 }): Promise<void> {
    this.#over = true
    await this.stopAll(options)
    this.#watchdog.dismiss()
    this.#close({ code: 0, signal: null, ageMs: 0, at: performance.now(), solicited: true })
  }

  async #end(processes: readonly GroupProcess[], options: StopOptions, whom: string): Promise<void> {
    const begun = performance.now()
    const termed = new Set<number>()
    for (let empty = 0; empty < 2; ) {
      const left = this.#tree(processes)
      const elapsed = performance.now() - begun
      empty = left.length === 0 ? empty + 1 : 0
      if (elapsed > options.graceMs + KILL_PATIENCE)
        throw unkillable(
          left.map(({ pid }) => pid),
          whom,
        )
      // What a process starts in answer to TERM is left alone until the KILL.
      const fresh = left.filter(({ pid, ppid }) => !termed.has(pid) && !termed.has(ppid))
      for (const { pid } of elapsed >= options.graceMs ? left : fresh)
        this.#signal(pid, elapsed >= options.graceMs ? 'SIGKILL' : (options.signal ?? 'SIGTERM'))
      for (const { pid } of left) termed.add(pid)
      if (left.length > 0) await new Promise((resolve) => setTimeout(resolve, 10))
    }
    for (const one of processes) {
      await one.exited
      this.#forget(one)
    }
  }

  #signal(pid: number, signal: NodeJS.Signals): void {
    const own = [...this.#running.keys()].find((one) => one.pid === pid)
    if (own?.alive) {
      own.send(signal)
      return
    }
    try {
      process.kill(pid, signal)
    } catch {
      // Gone: the next look tells.
    }
  }

  /** Who lives of these trees: by ancestry, group, session, and the environment that they were given. */
  #tree(processes: readonly GroupProcess[]): ProcessFacts[] {
    const roots = new Map(processes.map((one) => [one.pid, one.startTime]))
    const keys = new Set(processes.map((one) => one.key))
    const all = new Map(listProcesses().map((facts) => [facts.pid, facts]))
    const ours = (facts: ProcessFacts, depth = 0): boolean => {
      const parent = all.get(facts.ppid)
      return (
        roots.get(facts.pid) === facts.startTime ||
        roots.has(facts.group) ||
        roots.has(facts.session) ||
        (parent !== undefined && depth < 1000 && parent.pid !== process.pid && ours(parent, depth + 1)) ||
        (facts.ppid === 1 && keys.has(environmentOf(facts.pid)?.['GANGFLOW_KEPT'] ?? ''))
      )
    }
    return [...all.values()].filter((facts) => facts.alive && facts.pid !== process.pid && ours(facts))
  }

  #forget(kept: GroupProcess): void {
    if (this.#running.delete(kept)) this.#tell()
  }

  #tell(): void {
    const after = (request: SpawnRequest) =>
      typeof request.onOwnerGone === 'object' ? Math.ceil(request.onOwnerGone.lingerMs / 1000) : 0
    this.#watchdog.tell(new Map([...this.#running].map(([one, request]) => [one.pid, after(request)])))
  }
}

async function launch(request: SpawnRequest, extra: Readonly<Record<string, string>>): Promise<ChildProcess> {
  if (!isFolder(request.cwd)) throw startError(request, stage.cwd, 'ENOENT')
  const [program, ...args] = request.argv
  if (!program) throw startError(request, stage.setup, 'EINVAL')
  const output = request.spool === undefined ? 2 : 'pipe'
  try {
    const child = spawn(program, args, {
      cwd: request.cwd,
      env: { ...request.env, ...extra },
      detached: true,
      stdio: [request.stdin === undefined ? 'ignore' : 'pipe', output, output],
    })
    await once(child, 'spawn')
    return child
  } catch (cause) {
    throw startError(request, stage.exec, (cause as NodeJS.ErrnoException).code ?? 'EIO', cause)
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

function openSpool(request: SpawnRequest, file: string): number {
  try {
    mkdirSync(request.spool!, { recursive: true, mode: 0o700 })
    return openSync(file, 'a', 0o600)
  } catch (cause) {
    throw startError(request, stage.spool, (cause as NodeJS.ErrnoException).code ?? 'EIO', cause)
  }
}

/** Undefined when the port could be listened on, else why not. */
async function bindable(port: number, host: string | undefined): Promise<string | undefined> {
  const server = createServer()
  try {
    server.listen({ port, host, exclusive: true })
    await once(server, 'listening')
    return undefined
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'EIO'
  } finally {
    server.close()
  }
}
