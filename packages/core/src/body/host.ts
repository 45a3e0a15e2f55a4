import { chmodSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import type { Datastore } from '../datastore/contract.js'
import { LogSink, removeSpool } from '../datastore/logs/sink.js'
import { removeFolderLater } from '../datastore/remove.js'
import { GangflowError } from '../errors/base.js'
import type { Keeper } from '../process/contract.js'
import { type AttemptResult, attemptOn } from './attempt.js'
import { BodyProcess } from './body-process.js'
import type { Admit, BodyHost, BodyRun, BodySpec, BodyTask, Methods } from './contract.js'
import { type Deferred, deferred } from './deferred.js'
import { greet } from './greet.js'
import type { Peer } from './peer.js'
import { BodyPool, retire } from './pool.js'
import { makeRunDirectory } from './run-directory.js'

export interface BodyHostOptions {
  /** Parent of every body. */
  readonly keeper: Keeper
  /** Directory in which the bodies' output is spooled. */
  readonly spool: string
  /** Where the output goes in the end. */
  readonly datastore: Datastore
  /** A directory of this user alone (0700) for the socket; default: one is made, and removed at `close`. */
  readonly directory?: string
  /** Methods for every body. */
  readonly methods?: Methods
  /** Who else may connect; default nobody. */
  readonly admit?: Admit
  /** Milliseconds from a body's start until its hello. Default 60 s. */
  readonly startTimeoutMs?: number
}

/** Milliseconds that processes which outlive their body have between TERM and KILL. */
const leftoverGraceMs = 500

/** Listens on an owner-only unix socket and serves the bodies that it starts. */
export async function openBodyHost(options: BodyHostOptions): Promise<BodyHost> {
  const directory = options.directory ?? makeRunDirectory()
  const host = new Host(options, join(directory, 'host'))
  try {
    await host.listen()
  } catch (error) {
    if (options.directory === undefined) rmSync(directory, { recursive: true, force: true })
    throw error
  }
  return host
}

class Host implements BodyHost {
  readonly socket: string
  readonly #options: BodyHostOptions
  readonly #server: Server
  readonly #pool: BodyPool
  readonly #bodies = new Map<string, BodyProcess>()
  readonly #peers = new Set<Peer>()
  readonly #running = new Set<Work>()
  readonly #open = new Set<Promise<unknown>>()
  #started = 0

  constructor(options: BodyHostOptions, socket: string) {
    this.#options = options
    this.socket = socket
    this.#server = createServer((connection) => void this.#accept(connection))
    this.#pool = new BodyPool({ start: (spec) => this.#start(spec) })
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', (cause) => {
        const what = `no socket can be opened at ${this.socket}`
        reject(new GangflowError({ code: 'E_RUN_DIRECTORY', what, fix: 'set XDG_RUNTIME_DIR' }, { cause }))
      })
      // Connections are of this user alone: the directory is 0700, and so is the socket for who looks at it alone.
      this.#server.listen({ path: this.socket, backlog: 1024 }, () => {
        chmodSync(this.socket, 0o600)
        resolve()
      })
    })
  }

  prepare(spec: BodySpec, count = 1): void {
    this.#pool.prepare(spec, count)
  }

  run(task: BodyTask): BodyRun {
    const peer = deferred<Peer>()
    const logged = deferred<void>()
    peer.promise.catch(() => {})
    logged.promise.catch(() => {})
    const work = new Work(task, peer)
    this.#running.add(work)
    const outcome = this.#perform(work).then((result) => {
      this.#running.delete(work)
      peer.reject(neverBegan(task.assignment.address.step))
      this.#follow(this.#dismiss(work, result).then(logged.resolve, logged.reject))
      return result.outcome
    })
    return { peer: peer.promise, outcome, logged: logged.promise, kill: () => work.kill() }
  }

  async close(): Promise<void> {
    this.#pool.close()
    for (const work of this.#running) work.body?.stop({ graceMs: leftoverGraceMs })
    while (this.#open.size > 0) await Promise.allSettled(this.#open)
    for (const peer of this.#peers) peer.close()
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
    if (this.#options.directory === undefined) rmSync(dirname(this.socket), { recursive: true, force: true })
  }

  async #perform(work: Work): Promise<AttemptResult> {
    const { task } = work
    const taken = this.#pool.take(task.spec, task.reuse ? task.assignment.address.step : undefined)
    const methods = { ...this.#options.methods, ...task.methods }
    const attempt = async (body: BodyProcess, warm: boolean) => {
      await work.begin(body, this.#options.datastore)
      return attemptOn(body, { warm, task, methods, onBegun: work.peer.resolve })
    }
    const result = await attempt(taken.body, taken.warm)
    if (!taken.warm || result.began || result.outcome.ok || task.signal.aborted) return result
    // The spare died while it waited: nothing of the task has happened yet.
    return attempt(this.#start(task.spec), false)
  }

  /** Keeps the body for its next item, or sees to its end; settles when its output is in the log. */
  async #dismiss({ task, body, log }: Work, { outcome }: AttemptResult): Promise<void> {
    this.#follow(removeFolderLater(task.assignment.temp))
    if (task.reuse && outcome.ok && !body.gone) {
      const logging = body.mark().then((to) => log.finish({ to }))
      body.logging.push(logging)
      body.serving = false
      this.#pool.keep(body, task.assignment.address.step)
      return logging
    }
    retire(body)
    // One that never started has nothing to sweep; what cannot be killed is told when its keeper ends.
    await body.swept(leftoverGraceMs).catch(() => {})
    await log.finish()
  }

  #start(spec: BodySpec): BodyProcess {
    this.#started += 1
    const body = new BodyProcess({
      keeper: this.#options.keeper,
      socket: this.socket,
      name: `body-${this.#started}`,
      spec,
      spool: this.#options.spool,
      startTimeoutMs: this.#options.startTimeoutMs ?? 60_000,
    })
    this.#bodies.set(body.name, body)
    this.#follow(body.exited.finally(() => this.#bodies.delete(body.name)))
    // A task that it serves sees to its spool; without one, it goes once all logs are out of it.
    this.#follow(
      body.exited.then(async () => {
        if (!body.serving && (await Promise.allSettled(body.logging)).every(({ status }) => status === 'fulfilled'))
          await removeSpool(body.spoolFile)
      }),
    )
    return body
  }

  #follow(work: Promise<unknown>): void {
    const settled = work.catch(() => {}).finally(() => this.#open.delete(settled))
    this.#open.add(settled)
  }

  async #accept(connection: Socket): Promise<void> {
    try {
      const { peer, hello } = await greet(connection, {
        timeoutMs: 10_000,
        admit: ({ role, name, pid }) => {
          if (role !== 'body') {
            const methods = this.#options.admit?.({ role, name, pid })
            if (!methods) throw stranger(role, name)
            return { name: `${role} '${name}'`, methods }
          }
          if (!this.#bodies.has(name)) throw stranger(role, name)
          return { name: `body '${name}'` }
        },
      })
      this.#peers.add(peer)
      void peer.closed.then(() => this.#peers.delete(peer))
      if (hello.role === 'body') this.#bodies.get(hello.name)?.greet(peer, hello.pid)
    } catch {
      // It was told why; nobody here waits for a stranger.
    }
  }
}

/** One task and the body that has it. */
class Work {
  body!: BodyProcess
  log!: LogSink
  #killed = false

  constructor(
    readonly task: BodyTask,
    readonly peer: Deferred<Peer>,
  ) {}

  /** The body's output belongs to this task's log from here on. */
  async begin(body: BodyProcess, store: Datastore): Promise<void> {
    this.log?.stop()
    this.body = body
    body.serving = true
    await body.ready
    const { address, epoch, node } = this.task.assignment
    const target = { address, epoch, node, process: 'body' }
    this.log = new LogSink({ store, target, file: body.spoolFile, from: body.logFrom }).start()
    if (this.#killed) this.kill()
  }

  kill(): void {
    this.#killed = true
    this.body?.stop({ graceMs: 0, signal: 'SIGKILL' })
  }
}

function stranger(role: string, name: string): GangflowError {
  return new GangflowError({
    code: 'E_PROTOCOL_HELLO',
    what: `no ${role} of the name '${name}' is known here`,
    fix: 'only processes that the run started may use its socket',
  })
}

function neverBegan(step: string): GangflowError {
  return new GangflowError({ code: 'E_BODY_START', what: `the body of step '${step}' never began with it` })
}
