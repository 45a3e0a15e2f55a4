import type { ChildProcess } from 'node:child_process'
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import type { GangflowError } from '../errors/base.js'
import { addressOf } from './address.js'
import type { HeldPort, HoldRequest, Keeper, KeptProcess, ProcessExit, SpawnRequest, StopOptions } from './contract.js'
import { keeperLost, nameTaken, portError, startError, unkillable } from './errors.js'
import { NativeProcess } from './kept.js'
import type { KeeperOptions, Survivor } from './options.js'
import { type ProcessTag, reap } from './reap.js'
import { checkCommand, makeSpool, spawnFields, wholeMs } from './spawn-fields.js'
import { spoolFile } from './spool.js'
import {
  command,
  encodeCommand,
  errnoName,
  event,
  FieldReader,
  FrameCutter,
  KEEPER_PROTOCOL,
  signalNumber,
} from './wire.js'

const ALL = 0xffffffff
/** Beyond the grace, milliseconds that the kernel is given to end what was killed. */
const KILL_PATIENCE = 30_000

/** The owner's side of a native helper that runs already. */
export class NativeKeeper implements Keeper {
  readonly native = true
  readonly pid: number
  readonly closed: Promise<ProcessExit>
  readonly ready: Promise<void>
  startTime = ''
  /** That the helper speaks, once it is ready. */
  protocol = 0
  #tag: ProcessTag = { base: 0n, mask: 0n }
  #reaping: Promise<unknown> = Promise.resolve()
  #hello!: () => void
  /** Of the helper itself, where it runs: `pid` may be of what reaches it. 0 before it is ready. */
  ownPid = 0
  #next = 1
  #closing = false
  #over: GangflowError | undefined
  readonly #processes = new Map<number, NativeProcess>()
  readonly #starting = new Map<number, { request: SpawnRequest; settle: (error?: GangflowError) => void }>()
  readonly #replies = new Map<number, (fields: FieldReader | GangflowError) => void>()
  readonly #names = new Set<string>()

  constructor(
    private readonly child: ChildProcess,
    private readonly options: KeeperOptions,
  ) {
    this.pid = child.pid ?? 0
    this.ready = new Promise((resolve) => {
      this.#hello = resolve
    })
    const cutter = new FrameCutter((type, id, fields) => this.#on(type, id, fields))
    // Paused, where somebody else read the beginning of it.
    child.stdout!.on('data', (bytes: Buffer) => cutter.push(bytes)).resume()
    // A helper that died is told by `close`; the broken pipe adds nothing.
    child.stdin!.on('error', () => {})
    this.closed = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.#lost(code, signal)
        resolve({ code, signal, ageMs: 0, at: performance.now(), solicited: this.#closing })
      })
    })
  }

  send(type: number, id: number, fields: Parameters<typeof encodeCommand>[2] = []): void {
    if (!this.#over) this.child.stdin!.write(encodeCommand(type, id, fields))
  }

  async spawn(request: SpawnRequest): Promise<KeptProcess> {
    if (this.#over) throw this.#over
    const file = request.spool === undefined ? '' : resolve(spoolFile(request.spool, request.name))
    if (file !== '' && this.#names.has(file)) throw nameTaken(request, file)
    checkCommand(request)
    if (!this.options.elsewhere) makeSpool(request)
    const id = this.#next++
    const kept = new NativeProcess(this, id, request.name, file)
    this.#processes.set(id, kept)
    if (file !== '') {
      this.#names.add(file)
      void kept.exited.then(() => this.#names.delete(file))
    }
    const started = new Promise<void>((done, reject) => {
      const settle = (error?: GangflowError) => {
        this.#starting.delete(id)
        if (!error) return done()
        this.#processes.delete(id)
        this.#names.delete(file)
        reject(error)
      }
      this.#starting.set(id, { request, settle })
    })
    this.send(command.spawn, id, spawnFields(request, file))
    await started
    if (request.stdin !== undefined && request.stdin !== 'pipe') {
      // Not waited for: who does not read its input is no error of the start.
      void kept.write(request.stdin).catch(() => {})
      kept.endStdin()
    }
    return kept
  }

  async hold(request: HoldRequest): Promise<HeldPort> {
    const host = await addressOf(request)
    const id = this.#next++
    const fields = await this.#ask(command.hold, id, [{ u16: request.port ?? 0 }, { text: host }])
    const errno = fields.u32()
    const port = fields.u16()
    if (errno !== 0) throw portError(request, errnoName(errno))
    return {
      port,
      release: async () => {
        await this.#ask(command.release, id, []).catch(() => {})
      },
    }
  }

  stopAll(options: StopOptions): Promise<void> {
    return this.stopTree(ALL, options, 'what this keeper started')
  }

  async stopTree(target: number, options: StopOptions, whom: string): Promise<void> {
    if (this.#over) {
      await this.#reaping
      return
    }
    const graceMs = wholeMs(options.graceMs)
    const fields = [{ u32: target }, { u32: graceMs }, { u8: signalNumber(options.signal ?? 'SIGTERM') }]
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<'late'>((resolve) => {
      timer = setTimeout(resolve, graceMs + KILL_PATIENCE, 'late')
    })
    const stopped = this.#ask(command.stop, this.#next++, fields).catch(() => undefined)
    const first = await Promise.race([stopped, late])
    clearTimeout(timer)
    if (first !== 'late') return
    const left = (await this.survey()).filter((one) => target === ALL || one.process === target)
    throw unkillable(
      left.map(({ pid }) => pid),
      whom,
    )
  }

  /** Bytes of a process's spool, what it has written by now included. */
  async mark(process: number, file: string): Promise<number> {
    if (this.#processes.has(process)) {
      const size = Number((await this.#ask(command.mark, this.#next++, [{ u32: process }])).u64())
      if (size > 0) return size
    }
    if (this.options.elsewhere) return 0
    return statSync(file, { throwIfNoEntry: false })?.size ?? 0
  }

  /** Everything that lives below the keeper now. */
  async survey(): Promise<Survivor[]> {
    const fields = await this.#ask(command.survey, this.#next++, [])
    return Array.from({ length: fields.u32() }, () => ({
      pid: fields.u32(),
      startTime: String(fields.u64()),
      session: fields.u32(),
      process: fields.u32(),
      state: String.fromCharCode(fields.u8()),
    }))
  }

  async close(options: StopOptions = { graceMs: 500 }): Promise<void> {
    this.#closing = true
    const graceMs = wholeMs(options.graceMs)
    this.send(command.close, 0, [{ u32: graceMs }, { u8: signalNumber(options.signal ?? 'SIGTERM') }])
    const timer = setTimeout(() => this.child.kill('SIGKILL'), graceMs + KILL_PATIENCE)
    await this.closed
    clearTimeout(timer)
    await this.#reaping
  }

  ping(): void {
    this.send(command.ping, 0)
  }

  async #ask(type: number, id: number, fields: Parameters<typeof encodeCommand>[2]): Promise<FieldReader> {
    if (this.#over) throw this.#over
    const reply = await new Promise<FieldReader | GangflowError>((resolve) => {
      this.#replies.set(id, resolve)
      this.send(type, id, fields)
    })
    if (reply instanceof FieldReader) return reply
    throw reply
  }

  #on(type: number, id: number, fields: FieldReader): void {
    const kept = this.#processes.get(id)
    switch (type) {
      case event.hello:
        this.protocol = fields.u8()
        if (this.protocol !== KEEPER_PROTOCOL) {
          this.#hello()
          break
        }
        this.ownPid = fields.u32()
        this.startTime = String(fields.u64())
        this.#tag = { base: fields.u64(), mask: fields.u64() }
        this.#hello()
        break
      case event.started:
        kept?.started(fields)
        this.#starting.get(id)?.settle()
        break
      case event.failed: {
        const starting = this.#starting.get(id)
        starting?.settle(startError(starting.request, fields.u8(), errnoName(fields.u32())))
        break
      }
      case event.output:
        kept?.output(fields)
        break
      case event.exited:
        kept?.ended(fields)
        break
      case event.closed:
        kept?.outputClosed(fields)
        this.#processes.delete(id)
        break
      case event.stdinDone:
        kept?.stdinDone(fields)
        break
      case event.spoolFault:
        this.options.onSpoolFault?.({
          process: kept?.name ?? '',
          errno: errnoName(fields.u32()),
          lostBytes: Number(fields.u64()),
        })
        break
      case event.lapsed:
        this.options.onLapsed?.(Number(fields.u64()) / 1e6)
        break
      case event.stray:
        this.options.onStray?.({
          ...(kept && { process: kept.name }),
          pid: fields.u32(),
          startTime: String(fields.u64()),
          command: fields.text(),
        })
        break
      default: {
        const reply = this.#replies.get(id)
        this.#replies.delete(id)
        reply?.(fields)
      }
    }
  }

  #lost(code: number | null, signal: NodeJS.Signals | null): void {
    this.#over = keeperLost(this.pid, signal ? `killed by ${signal}` : `exit code ${code}`)
    // It was killed, and could not end those below its children: they come to whoever is above, or to nobody.
    if (signal !== null && !this.#closing && !this.options.elsewhere)
      this.#reaping = reap({ mark: this.options.mark, tag: this.#tag, graceMs: 2 * (this.options.graceMs ?? 500) })
    for (const { settle } of [...this.#starting.values()]) settle(this.#over)
    for (const kept of this.#processes.values()) kept.keeperDied()
    this.#processes.clear()
    for (const reply of this.#replies.values()) reply(this.#over)
    this.#replies.clear()
  }
}
