import { rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { speaksNoTls } from '../compile/load-script.js'
import { GangflowError } from '../errors/base.js'
import type { Keeper, KeptProcess, ProcessExit, StopOptions } from '../process/contract.js'
import { certificatesAside } from '../process/extra-certificates.js'
import { spoolFile } from '../process/spool.js'
import type { BodySpec } from './contract.js'
import { deferred } from './deferred.js'
import { type DiskWait, diskWaitOver, diskWaitPath } from './disk-wait.js'
import { lastWordsPath } from './last-words.js'
import { type Line, LineFeed } from './lines.js'
import type { Peer } from './peer.js'
import { spoolTail } from './spool-tail.js'

export interface BodyProcessOptions {
  readonly keeper: Keeper
  /** The host's socket. */
  readonly socket: string
  /** Unique under this host: names the process to its keeper, and itself in its hello. */
  readonly name: string
  readonly spec: BodySpec
  /** Directory in which its output is spooled. */
  readonly spool: string
  /** Milliseconds from the start until its hello. */
  readonly startTimeoutMs: number
}

/** Lines that a body printed before it had a task, at most. */
const longestPrelude = 1000

/** Milliseconds between two looks whether it waits for a disk. */
const LOOK_MS = 1_000

/** One body process: started, connected, printing. Which tasks it serves is others' business. */
export class BodyProcess {
  readonly name: string
  readonly spec: BodySpec
  /** Path of the file in which it says why it ended, when it cannot say so on its socket. */
  readonly lastWords: string
  /** A disk that it waited for too long, for which it was ended. */
  hung: DiskWait | undefined
  readonly startedAt = performance.now()
  /** Settles when it has said hello; rejects with `E_BODY_START` when it never does. */
  readonly peer: Promise<Peer>
  /** Settles after its last output was spooled and shown. */
  readonly exited: Promise<ProcessExit>
  readonly feed: LineFeed
  /** Where its output is spooled. */
  readonly spoolFile: string
  /** Byte of the spool at which the next task's log begins. */
  logFrom = 0
  /** Settles when what it printed for its last task is told from what comes. */
  ready: Promise<void> = Promise.resolve()
  pid: number | undefined
  /** It has a task, or its last task's log is still to be seen to. */
  serving = false
  /** The logs of the tasks that it served, on their way. */
  readonly logging: Promise<void>[] = []
  gone = false
  readonly #hello = deferred<{ peer: Peer; pid: number }>()
  readonly #waits: string
  #kept: KeptProcess | undefined
  #stop: StopOptions | undefined
  #prelude: Line[] = []
  #show: ((line: Line) => void) | undefined

  constructor(options: BodyProcessOptions) {
    this.name = options.name
    this.spec = options.spec
    this.lastWords = lastWordsPath(options.socket, options.name)
    this.#waits = diskWaitPath(options.socket, options.name)
    this.spoolFile = spoolFile(options.spool, options.name)
    this.feed = new LineFeed((line) => {
      if (this.#show) this.#show(line)
      else if (this.#prelude.length < longestPrelude) this.#prelude.push(line)
    })
    const kept = options.keeper.spawn(spawnRequest(options))
    this.exited = kept.then((it) => this.#watch(it))
    this.peer = this.#greeted(kept, options.startTimeoutMs)
    // Whoever waits is told; a spare that nobody waits for may fail in silence.
    this.peer.catch(() => {})
    this.exited.catch(() => {})
  }

  /** A connection that introduced itself by this body's name. */
  greet(peer: Peer, pid: number): void {
    this.#hello.resolve({ peer, pid })
  }

  /** Where its lines go from now on; those of before come first. */
  show(show: (line: Line) => void): void {
    this.#show = show
    for (const line of this.#prelude.splice(0)) show(line)
  }

  /** TERM to it and everything below it, KILL after the grace; also before it was up. Idempotent. */
  stop(options: StopOptions): void {
    if (this.#stop && this.#stop.graceMs <= options.graceMs) return
    this.#stop = options
    if (this.#kept) this.#kept.stop(options).catch(() => {})
  }

  /** A task is over and another one may come: byte of the spool at which its log ends. */
  mark(): Promise<number> {
    const marked = this.#kept!.mark().then((size) => {
      this.logFrom = size
      this.feed.restart()
      return size
    })
    this.ready = marked.then(
      () => {},
      () => {},
    )
    return marked
  }

  /** Ends what it left behind; settles when nothing can add to its output any more. */
  async swept(graceMs: number): Promise<void> {
    await this.exited
    await this.#kept!.stop({ graceMs })
    await this.#kept!.closed
  }

  /** It cannot end such a wait itself, nor say a word. */
  #lookForHung(): void {
    this.hung ??= diskWaitOver(this.#waits)
    if (this.hung) this.stop({ graceMs: 0, signal: 'SIGKILL' })
  }

  async #watch(kept: KeptProcess): Promise<ProcessExit> {
    this.#kept = kept
    this.pid = kept.pid
    kept.onOutput((chunk) => this.feed.push(chunk))
    if (this.#stop) kept.stop(this.#stop).catch(() => {})
    const looking = setInterval(() => this.#lookForHung(), LOOK_MS).unref()
    const exit = await kept.exited
    clearInterval(looking)
    rmSync(this.#waits, { force: true })
    this.gone = true
    if (this.feed.gapped) this.feed.recall(await spoolTail(this.spoolFile))
    this.feed.end()
    return exit
  }

  async #greeted(kept: Promise<KeptProcess>, timeoutMs: number): Promise<Peer> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(neverUp(`said no hello within ${timeoutMs} ms`)), timeoutMs)
    })
    const died = this.exited.then((exit) => {
      throw neverUp(`ended before its hello (${exit.signal ?? `exit code ${exit.code}`})`)
    })
    try {
      const { peer, pid } = await Promise.race([this.#hello.promise, died, late])
      const { pid: started } = await kept
      if (pid === started) return peer
      peer.close()
      throw neverUp(`was to be process ${started}, but ${pid} took its name`)
    } catch (error) {
      this.stop({ graceMs: 0, signal: 'SIGKILL' })
      throw error
    } finally {
      clearTimeout(timer)
    }
  }
}

function spawnRequest(options: BodyProcessOptions) {
  const { compiled, execArgv } = options.spec
  const entry = join(compiled.core, 'dist', 'body.cjs')
  return {
    name: options.name,
    argv: [process.execPath, ...(execArgv ?? []), entry, options.socket, options.name, compiled.bundle, compiled.file],
    env: startEnvironment(options.spec),
    cwd: dirname(compiled.file),
    spool: options.spool,
  }
}

const noTls = new Map<string, boolean>()

/** Without certificates where nothing in the process could ask for them; the body takes them up for what it starts. */
function startEnvironment({ compiled: { bundle }, env, execArgv }: BodySpec): Readonly<Record<string, string>> {
  const others = [env['NODE_OPTIONS'] ?? '', ...(execArgv ?? [])].join(' ')
  if (env['NODE_EXTRA_CA_CERTS'] === undefined || /require|import|loader|-r\b/.test(others)) return env
  if (!noTls.has(bundle)) noTls.set(bundle, speaksNoTls(bundle))
  return noTls.get(bundle) ? certificatesAside(env) : env
}

function neverUp(what: string): GangflowError {
  return new GangflowError({
    code: 'E_BODY_START',
    what: `the body process ${what}`,
    fix: 'its last lines say why; NODE_OPTIONS and the memory at hand are the usual reasons',
  })
}
