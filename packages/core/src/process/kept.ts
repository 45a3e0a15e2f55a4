import { constants } from 'node:os'
import { GangflowError } from '../errors/base.js'
import type { KeptProcess, OutputChunk, ProcessExit, StopOptions } from './contract.js'
import type { NativeKeeper } from './native.js'
import { command, errnoName, type FieldReader, signalName, signalNumber } from './wire.js'

/** Output that came before anyone listened, in bytes kept. */
const EARLY = 1 << 20
const PIECE = 1 << 16

/** A process below the native helper. */
export class NativeProcess implements KeptProcess {
  pid = 0
  startTime = ''
  readonly exited: Promise<ProcessExit>
  readonly closed: Promise<{ readonly lostBytes: number }>
  #exit!: (exit: ProcessExit) => void
  #closed!: (result: { readonly lostBytes: number }) => void
  #ended = false
  readonly #listeners = new Set<(chunk: OutputChunk) => void>()
  #early: OutputChunk[] = []
  #earlyBytes = 0
  #earlySkipped = 0
  #seq = 0
  readonly #writes = new Map<number, (errno: number) => void>()

  constructor(
    readonly keeper: NativeKeeper,
    readonly id: number,
    readonly name: string,
    /** Its spool. */
    private readonly file: string,
  ) {
    this.exited = new Promise((resolve) => {
      this.#exit = resolve
    })
    this.closed = new Promise((resolve) => {
      this.#closed = resolve
    })
  }

  onOutput(listener: (chunk: OutputChunk) => void): () => void {
    const early = this.#early
    this.#early = []
    this.#listeners.add(listener)
    for (const chunk of early) listener(chunk)
    return () => this.#listeners.delete(listener)
  }

  async mark(): Promise<number> {
    return this.keeper.mark(this.id, this.file)
  }

  async write(data: Uint8Array): Promise<void> {
    if (this.#ended) throw this.#notRead('it has ended')
    const pieces: Promise<number>[] = []
    for (let at = 0; at < data.length; at += PIECE) {
      const seq = this.#seq++
      const piece = new Promise<number>((resolve) => this.#writes.set(seq, resolve))
      pieces.push(piece)
      this.keeper.send(command.stdin, this.id, [{ u32: seq }, { bytes: data.subarray(at, at + PIECE) }])
      // At most a MiB is under way, so that a reader that is slow does not fill the keeper.
      if (pieces.length % 16 === 0) await pieces[pieces.length - 16]
    }
    const errno = (await Promise.all(pieces)).find((result) => result !== 0)
    if (errno !== undefined) throw this.#notRead(errnoName(errno))
  }

  #notRead(why: string): GangflowError {
    return new GangflowError({
      code: 'E_PROCESS_STDIN_CLOSED',
      what: `${this.name} does not read its standard input any more (${why})`,
      fix: 'see its output: it has ended, or closed its standard input',
      details: { pid: this.pid },
    })
  }

  endStdin(): void {
    this.keeper.send(command.stdinEnd, this.id)
  }

  signal(signal: NodeJS.Signals, scope: 'process' | 'tree' = 'process'): void {
    this.keeper.send(command.signal, this.id, [{ u8: signalNumber(signal) }, { u8: scope === 'tree' ? 1 : 0 }])
  }

  async stop(options: StopOptions): Promise<ProcessExit> {
    await this.keeper.stopTree(this.id, options, this.name)
    return this.exited
  }

  started(fields: FieldReader): void {
    this.pid = fields.u32()
    this.startTime = String(fields.u64())
  }

  output(fields: FieldReader): void {
    const stream = fields.u8() === 2 ? 'stderr' : 'stdout'
    const at = fields.u64()
    const skipped = Number(fields.u64())
    this.#show({ stream, data: fields.rest(), at, ...(skipped > 0 && { skipped }) })
  }

  #show(chunk: OutputChunk): void {
    if (this.#listeners.size > 0) {
      if (this.#earlySkipped > 0) {
        chunk = { ...chunk, skipped: (chunk.skipped ?? 0) + this.#earlySkipped }
        this.#earlySkipped = 0
      }
      for (const listener of this.#listeners) listener(chunk)
    } else if (this.#earlyBytes + chunk.data.length <= EARLY) {
      // A copy: the chunk is a view of the whole read.
      this.#early.push({ ...chunk, data: Uint8Array.from(chunk.data) })
      this.#earlyBytes += chunk.data.length
    } else {
      this.#earlySkipped += chunk.data.length + (chunk.skipped ?? 0)
    }
  }

  ended(fields: FieldReader): void {
    const endedAt = fields.u64()
    const killed = fields.u8() === 1
    const value = fields.u8()
    const flags = fields.u8()
    this.#tail(Number(fields.u64()))
    const ageMs = Math.max(0, Number(process.hrtime.bigint() - endedAt) / 1e6)
    this.settle({
      code: killed ? null : value,
      signal: killed ? signalName(value) : null,
      ageMs,
      at: performance.now() - ageMs,
      solicited: (flags & 1) !== 0,
      ...((flags & 2) !== 0 && { outOfMemory: true }),
    })
  }

  /** The live view left out the very last of the output. */
  #tail(skipped: number): void {
    if (skipped > 0) this.#show({ stream: 'stdout', data: new Uint8Array(0), at: process.hrtime.bigint(), skipped })
  }

  outputClosed(fields: FieldReader): void {
    this.#tail(Number(fields.u64()))
    this.#closed({ lostBytes: Number(fields.u64()) })
    this.#failWrites()
  }

  /** Pieces that crossed the end on their way. */
  #failWrites(): void {
    for (const done of this.#writes.values()) done(constants.errno.EPIPE)
    this.#writes.clear()
  }

  stdinDone(fields: FieldReader): void {
    const seq = fields.u32()
    this.#writes.get(seq)?.(fields.u32())
    this.#writes.delete(seq)
  }

  settle(exit: ProcessExit): void {
    if (this.#ended) return
    this.#ended = true
    this.#exit(exit)
  }

  /** The keeper died: the kernel has killed this process with it. */
  keeperDied(): void {
    this.settle({
      code: null,
      signal: 'SIGKILL',
      ageMs: 0,
      at: performance.now(),
      solicited: true,
      keeperLost: true,
    })
    this.#closed({ lostBytes: 0 })
    this.#failWrites()
  }
}
