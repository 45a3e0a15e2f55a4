import { basename } from 'node:path'
import { LineFeed } from '../../body/lines.js'
import { spoolTail } from '../../body/spool-tail.js'
import type { LogSink } from '../../datastore/logs/sink.js'
import { GangflowError, messageOf } from '../../errors/base.js'
import type { Casualty } from '../../errors/verdict.js'
import type { CommandResult } from '../../plugin/contract.js'
import type { Keeper, KeptProcess, ProcessExit } from '../../process/contract.js'
import { spoolFile } from '../../process/spool.js'
import type { LiveLine } from '../protocol.js'
import { KeptOutput } from './kept-output.js'
import { Watch, type WatchedLine } from './watch.js'

/** A command as it travels: `Command` with its stdin as base64. */
export interface WireCommand {
  readonly argv: readonly string[]
  readonly name: string
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly stdin?: string
  readonly rank?: number
  readonly stopGraceMs?: number
  readonly service?: boolean
  readonly show?: boolean
}

/** Who started a command and hears of it. */
export interface Starter {
  exit(result: CommandResult): void
}

export interface CommandsOptions {
  readonly keeper: Keeper
  readonly node: number
  readonly host: string
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly spool: string
  readonly stopGraceMs: number
  /** Carries the output that is spooled in `file` into the datastore, from now on. */
  log(process: string, file: string): LogSink
  live(line: LiveLine): void
}

interface Running {
  readonly id: string
  readonly name: string
  readonly command: WireCommand
  readonly process: KeptProcess
  readonly feed: LineFeed
  readonly watch: Watch
  readonly ended: Promise<void>
  exit: ProcessExit | undefined
  /** True once we asked for its end. */
  asked: boolean
}

/** What this member was asked to run: started below its keeper, told line by line, ended with the gang. */
export class Commands {
  readonly #options: CommandsOptions
  readonly #all: Running[] = []
  readonly #names = new Map<string, number>()
  readonly #logs: Promise<void>[] = []
  #stopped = false

  constructor(options: CommandsOptions) {
    this.#options = options
  }

  /** Starts a command; rejects with `E_GANG_COMMAND` where the program cannot be started. */
  async start(id: string, command: WireCommand, starter: Starter): Promise<{ name: string; pid: number }> {
    const { keeper, node, host, env, cwd, spool } = this.#options
    if (this.#stopped) throw new GangflowError({ code: 'E_GANG_STOPPED', what: `node ${node} is being stopped`, node })
    const name = this.#nameFor(command)
    const began = performance.now()
    let child: KeptProcess
    try {
      child = await keeper.spawn({
        name,
        argv: command.argv,
        env: { ...env, ...command.env },
        cwd: command.cwd ?? cwd,
        spool,
        ...(command.stdin === undefined ? {} : { stdin: Buffer.from(command.stdin, 'base64') }),
      })
    } catch (cause) {
      throw new GangflowError(
        {
          code: 'E_GANG_COMMAND',
          what: `'${command.argv[0]}' could not be started on node ${node} (${host}): ${messageOf(cause)}`,
          fix: `install it there, or give its full path; PATH is ${env['PATH'] ?? 'empty'}`,
          node,
          host,
        },
        { cause },
      )
    }
    const log = this.#options.log(name, spoolFile(spool, name)).start()
    const kept = new KeptOutput()
    const watch = new Watch()
    const feed = new LineFeed((line) => {
      if (command.show !== false) this.#options.live({ process: name, ...line })
    })
    child.onOutput((chunk) => {
      kept.push(chunk)
      watch.push(chunk)
      feed.push(chunk)
    })
    const running: Running = {
      id,
      name,
      command,
      process: child,
      feed,
      watch,
      exit: undefined,
      asked: false,
      ended: child.exited.then(async (exit) => {
        running.exit = exit
        if (feed.gapped) feed.recall(await spoolTail(spoolFile(spool, name)))
        feed.end()
        watch.end()
        const output = await kept.text(spoolFile(spool, name)).catch(() => ({ stdout: '', stderr: '' }))
        starter.exit({
          node,
          exitCode: exit.code,
          signal: exit.signal,
          ...output,
          durationMs: exit.at - began,
        })
      }),
    }
    this.#all.push(running)
    const logged = Promise.all([running.ended, child.closed]).then(() => log.finish())
    logged.catch(() => {})
    this.#logs.push(logged)
    return { name, pid: child.pid }
  }

  /** Sends the lines of a command to its starter: those held from its start, then all as they come. */
  watch(id: string, send: (lines: readonly WatchedLine[]) => void): void {
    this.#all.find((running) => running.id === id)?.watch.listen(send)
  }

  signal(id: string, signal: NodeJS.Signals): void {
    for (const running of this.#alive(id)) {
      running.asked = true
      running.process.signal(signal, 'tree')
    }
  }

  /** Ends it, and what is left below one that has ended by itself. */
  async stop(id: string): Promise<void> {
    const left = this.#all.filter((running) => running.exit && running.id === id)
    await Promise.all([
      ...this.#alive(id).map((running) => this.#end(running, undefined)),
      ...left.map(({ process, command }) =>
        process.stop({ graceMs: command.stopGraceMs ?? this.#options.stopGraceMs }),
      ),
    ])
  }

  /** Ends all; gives those that were still running as casualties. */
  async stopAll(graceMs: number): Promise<Casualty[]> {
    this.#stopped = true
    const alive = this.#alive()
    await Promise.all(alive.map((running) => this.#end(running, graceMs)))
    return alive.map((running) => this.#casualty(running))
  }

  /** Settles when the whole output of all is in the datastore; gives what could not be put there, in words. */
  async logged(): Promise<string[]> {
    const settled = await Promise.allSettled(this.#logs)
    return settled.flatMap((one) => (one.status === 'rejected' ? [messageOf(one.reason)] : []))
  }

  /** A casualty with what this agent knows of the process that it names. */
  complete(casualty: Casualty): { casualty: Casualty; exit: ProcessExit | undefined } {
    const match = this.#all.findLast((running) =>
      casualty.pid !== undefined ? running.process.pid === casualty.pid : running.name === casualty.process,
    )
    if (!match) return { casualty, exit: undefined }
    return { casualty: { ...this.#casualty(match), ...casualty }, exit: match.exit }
  }

  /** Ends by signals that nobody asked for, since `since` (`performance.now()`), oldest first. */
  killed(since: number): { casualty: Casualty; exit: ProcessExit }[] {
    return this.#all
      .filter(({ exit, asked }) => exit?.signal && !exit.solicited && !asked && exit.at >= since)
      .map((running) => ({ casualty: this.#casualty(running), exit: running.exit! }))
      .sort((a, b) => a.exit.at - b.exit.at)
  }

  #alive(id?: string): Running[] {
    return this.#all.filter((running) => !running.exit && (id === undefined || running.id === id))
  }

  async #end(running: Running, graceMs: number | undefined): Promise<void> {
    running.asked = true
    const { service, stopGraceMs: own = this.#options.stopGraceMs } = running.command
    await running.process.stop({ graceMs: service ? Math.min(graceMs ?? own, own) : (graceMs ?? own) })
    await running.ended
  }

  #casualty({ name, command, process, exit, feed }: Running): Casualty {
    const { node, host } = this.#options
    return {
      kind: 'process',
      node,
      host,
      process: name,
      pid: process.pid,
      ...(command.rank === undefined ? {} : { rank: command.rank }),
      ...(exit?.code == null ? {} : { exitCode: exit.code }),
      ...(exit?.signal ? { signal: exit.signal } : {}),
      lastLines: feed.tail(),
    }
  }

  /** Unique within the attempt, as its log is: a second `train` is `train-2`. */
  #nameFor(command: WireCommand): string {
    const base = (command.name || basename(command.argv[0]!)).replace(/[^A-Za-z0-9._=-]/g, '_').slice(0, 100)
    const count = (this.#names.get(base) ?? (base === 'body' ? 1 : 0)) + 1
    this.#names.set(base, count)
    return count === 1 ? base : `${base}-${count}`
  }
}
