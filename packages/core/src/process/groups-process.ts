import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, fstatSync, writeSync } from 'node:fs'
import { GangflowError, messageOf } from '../errors/base.js'
import type { KeptProcess, OutputChunk, ProcessExit, StopOptions } from './contract.js'
import { startTimeOf } from './identity.js'

const ending = new Set<NodeJS.Signals>(['SIGTERM', 'SIGKILL', 'SIGINT', 'SIGHUP', 'SIGQUIT'])
/** Bytes kept for a listener that comes late. */
const EARLY = 1 << 20

/** A process in a group and session of its own, watched by this process itself. */
export class GroupProcess implements KeptProcess {
  readonly pid: number
  readonly startTime: string
  readonly exited: Promise<ProcessExit>
  readonly closed: Promise<{ readonly lostBytes: number }>
  alive = true
  #sent = new Set<NodeJS.Signals>()
  #lostBytes = 0
  #listeners = new Set<(chunk: OutputChunk) => void>()
  #early: OutputChunk[] = []
  #earlyBytes = 0
  #skipped = 0
  #lastOutput = 0
  /** Bytes of the spool. */
  #spooled: number

  constructor(
    readonly name: string,
    /** GANGFLOW_KEPT of everything below it. */
    readonly key: string,
    private readonly child: ChildProcess,
    private readonly spool: number | undefined,
    private readonly endTree: (process: GroupProcess, options: StopOptions) => Promise<void>,
    private readonly signalTree: (process: GroupProcess, signal: NodeJS.Signals) => void,
  ) {
    this.pid = child.pid!
    this.#spooled = spool === undefined ? 0 : fstatSync(spool).size
    this.startTime = startTimeOf(this.pid)
    child.stdout?.on('data', (data: Buffer) => this.#output('stdout', data))
    child.stderr?.on('data', (data: Buffer) => this.#output('stderr', data))
    child.stdin?.on('error', () => {})
    const closed = once(child, 'close')
    this.exited = once(child, 'exit').then(async ([code, signal]) => {
      const at = performance.now()
      this.alive = false
      const solicited = [...this.#sent].some((sent) => sent === signal || ending.has(sent))
      await this.#quiet(closed)
      return { code, signal, ageMs: performance.now() - at, at, solicited } as ProcessExit
    })
    this.closed = closed.then(() => {
      if (this.spool !== undefined) closeSync(this.spool)
      return { lostBytes: this.#lostBytes }
    })
  }

  /** Until what it wrote has been read: its pipes closed, or nothing came for a moment (a descendant holds them). */
  async #quiet(closed: Promise<unknown>): Promise<void> {
    let open = true
    const end = closed.then(() => {
      open = false
    })
    const begun = performance.now()
    do await Promise.race([end, new Promise((resolve) => setTimeout(resolve, 50))])
    while (open && performance.now() - this.#lastOutput < 50 && performance.now() - begun < 2000)
  }

  #output(stream: 'stdout' | 'stderr', data: Buffer): void {
    const at = process.hrtime.bigint()
    this.#lastOutput = performance.now()
    if (this.spool !== undefined) this.#write(this.spool, stream, at, data)
    const chunk = { stream, data, at, ...(this.#skipped > 0 && { skipped: this.#skipped }) }
    if (this.#listeners.size > 0) {
      this.#skipped = 0
      for (const listener of this.#listeners) listener(chunk)
    } else if (this.#earlyBytes + data.length <= EARLY) {
      this.#early.push({ stream, data, at })
      this.#earlyBytes += data.length
    } else {
      this.#skipped += data.length
    }
  }

  #write(spool: number, stream: 'stdout' | 'stderr', at: bigint, data: Buffer): void {
    const record = Buffer.allocUnsafe(13 + data.length)
    record.writeUInt8(stream === 'stderr' ? 2 : 1, 0)
    record.writeBigUInt64BE(at, 1)
    record.writeUInt32BE(data.length, 9)
    record.set(data, 13)
    try {
      for (let done = 0; done < record.length; ) done += writeSync(spool, record, done)
      this.#spooled += record.length
    } catch {
      this.#lostBytes += data.length
    }
  }

  onOutput(listener: (chunk: OutputChunk) => void): () => void {
    this.#listeners.add(listener)
    for (const chunk of this.#early.splice(0)) listener(chunk)
    return () => this.#listeners.delete(listener)
  }

  async mark(): Promise<number> {
    // What it wrote is read by this very process: once the pipes have been silent for a moment, nothing is left in them.
    do await new Promise((resolve) => setTimeout(resolve, 20))
    while (this.alive && performance.now() - this.#lastOutput < 20)
    return this.#spooled
  }

  async write(data: Uint8Array): Promise<void> {
    const stdin = this.child.stdin
    const failed = (why: string) =>
      new GangflowError({
        code: 'E_PROCESS_STDIN_CLOSED',
        what: `${this.name} does not read its standard input any more (${why})`,
        fix: 'see its output: it has ended, or closed its standard input',
        details: { pid: this.pid },
      })
    if (!stdin?.writable) throw failed('it is closed')
    await new Promise<void>((resolve, reject) => {
      stdin.write(data, (error) => (error ? reject(failed(messageOf(error))) : resolve()))
    })
  }

  endStdin(): void {
    this.child.stdin?.end()
  }

  /** True when the signal could be sent. */
  send(signal: NodeJS.Signals): boolean {
    if (!this.alive || this.child.exitCode !== null || this.child.signalCode !== null) return false
    const sent = this.child.kill(signal)
    if (sent) this.#sent.add(signal)
    return sent
  }

  signal(signal: NodeJS.Signals, scope: 'process' | 'tree' = 'process'): void {
    if (scope === 'process') this.send(signal)
    else this.signalTree(this, signal)
  }

  async stop(options: StopOptions): Promise<ProcessExit> {
    await this.endTree(this, options)
    return this.exited
  }
}
