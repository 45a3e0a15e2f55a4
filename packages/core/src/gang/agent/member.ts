import { mkdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { BodyHost, BodyRun } from '../../body/contract.js'
import { deferred } from '../../body/deferred.js'
import { Peer } from '../../body/peer.js'
import type { Datastore } from '../../datastore/contract.js'
import { LogSink } from '../../datastore/logs/sink.js'
import { messageOf } from '../../errors/base.js'
import type { Casualty } from '../../errors/verdict.js'
import { coreVersion } from '../../errors/version.js'
import type { Json } from '../../flow/values.js'
import type { Keeper } from '../../process/contract.js'
import type { Listener, StopReason, Transport } from '../contract.js'
import { keepDoor } from '../doorkeeper.js'
import { answer } from '../handshake.js'
import { deriveKey } from '../keys.js'
import type { Account, Failure, Formation, Joining, Report, StopOrder, Work } from '../protocol.js'
import { bodyMethods } from './body-methods.js'
import type { AgentBootstrap } from './bootstrap.js'
import { Channels } from './channels.js'
import { Commands } from './commands.js'
import { receiveFile } from './copy.js'
import { gangFacts, memberEnvironment } from './environment.js'
import { missingExecutables } from './executables.js'
import {
  failureOfAgent,
  failureOfBody,
  failureOfExecutables,
  failureOfKeeper,
  failureOfKill,
  failureOfPlugin,
  failureOfSignal,
} from './failures.js'
import { Live } from './live.js'
import { removeEmptied, writeOrphanVerdict } from './orphan.js'
import { OwnerLink } from './owner-link.js'
import { peerRefusal } from './peer-refusal.js'
import { Peers } from './peers.js'
import { Services } from './services.js'
import { openRawPort, type RawPort } from './tokens.js'
import { performUndos } from './undo.js'

/** Kills by unknown hands this long before a body's failure count as its possible cause. */
const EVIDENCE_MS = 2_000

/** What the entry gives an agent to work with. */
export interface AgentTools {
  readonly transport: Transport
  startKeeper(options: { mark: string; leaseMs: number; graceMs: number; liveBytesPerSecond: number }): Promise<Keeper>
  openDatastore(location: string): Promise<Datastore>
  openHost(options: { keeper: Keeper; directory: string; spool: string; datastore: Datastore }): Promise<BodyHost>
}

/** One member's agent from its bootstrap to its end; settles with the exit code. */
export async function runMember(boot: AgentBootstrap, tools: AgentTools): Promise<number> {
  const member = new MemberAgent(boot, tools)
  process.on('SIGTERM', () => member.asked('SIGTERM'))
  // Ctrl-C reaches the launcher alone; agents have sessions of their own, and this is for a careless parent.
  process.on('SIGINT', () => {})
  const fault = (error: unknown) => member.fault(error)
  process.on('uncaughtException', fault)
  process.on('unhandledRejection', fault)
  return member.run()
}

class MemberAgent {
  readonly #boot: AgentBootstrap
  readonly #tools: AgentTools
  readonly #place: { memberId: string; host: string; node: number }
  readonly #key: Uint8Array
  readonly #owner: OwnerLink
  readonly #stop = new AbortController()
  readonly #ready = deferred<void>()
  #exit!: (code: number) => void
  #keeper!: Keeper
  #datastore!: Datastore
  #host!: BodyHost
  #work!: Work
  #listener!: Listener
  #raw!: RawPort
  #data!: Peer
  #live!: Live
  #formed: { formation: Formation; commands: Commands; peers: Peers; channels: Channels } | undefined
  #body: { run: BodyRun; calls: number; ended: boolean; peer?: Peer } | undefined
  #stopping: Promise<Account> | undefined
  #finishing: Promise<Account> | undefined
  #closing = false
  #keeperGone = false
  /** The owner is dead: what it would have removed is removed here. */
  #last = false
  #stoppedAt = Number.POSITIVE_INFINITY

  constructor(boot: AgentBootstrap, tools: AgentTools) {
    this.#boot = boot
    this.#tools = tools
    this.#place = { memberId: boot.member.memberId, host: boot.member.host, node: -1 }
    this.#key = deriveKey(boot.secret, boot.address, 'join')
    this.#owner = new OwnerLink({
      transport: tools.transport,
      rendezvous: boot.rendezvous,
      key: this.#key,
      memberId: boot.member.memberId,
      startMs: boot.timeouts.start,
      leaseMs: boot.timeouts.lease,
      silenceMs: boot.timeouts.launcher,
      methods: {
        // May come together with the answer to `join`.
        form: async (params) => {
          await this.#ready.promise
          this.#form(params as unknown as Formation)
        },
        stop: async (params) => (await this.#halt(params as unknown as StopOrder)) as unknown as Json,
        finish: async () => (await this.#finish()) as unknown as Json,
        leave: () => this.#leave(0),
        commit: (params) => this.#commit(params as { key: string; value: Json }),
      },
      lost: (why) => void this.#orphaned(`the launcher ${why}`),
    })
  }

  async run(): Promise<number> {
    const { member, timeouts, rendezvous, datastore } = this.#boot
    const code = new Promise<number>((resolve) => {
      this.#exit = resolve
    })
    mkdirSync(member.temp, { recursive: true, mode: 0o700 })
    // The keeper starts while the rendezvous is dialled: neither needs the other.
    const keeper = this.#tools.startKeeper({
      mark: this.#mark(),
      leaseMs: timeouts.lease,
      graceMs: timeouts.stopGrace,
      // A flood must not keep the agent from its lease: what is not shown live is in the spool.
      liveBytesPerSecond: 512 << 10,
    })
    keeper.catch(() => {})
    const [lease, data, listener, raw, store] = await Promise.all([
      this.#owner.open(),
      this.#dialData(rendezvous),
      this.#tools.transport.listen(`agent-${member.memberId}`),
      openRawPort(join(member.directory, 'raw.sock')),
      this.#tools.openDatastore(datastore),
    ])
    this.#data = data
    this.#live = new Live(data)
    this.#listener = listener
    this.#raw = raw
    this.#datastore = store
    const joining: Joining = {
      memberId: member.memberId,
      pid: process.pid,
      host: member.host,
      addresses: member.addresses,
      slots: member.slots,
      gpus: member.gpus,
      listens: listener.address,
      version: coreVersion,
    }
    this.#keeper = await keeper
    void this.#keeper.closed.then((exit) => {
      this.#keeperGone = true
      if (!this.#closing) this.#fail(failureOfKeeper(exit, this.#keeper.pid, this.#place), performance.now() - exit.at)
    })
    this.#host = await this.#tools.openHost({
      keeper: this.#keeper,
      directory: member.directory,
      spool: member.spool,
      datastore: store,
    })
    this.#work = await lease.call<Work & Json>('join', joining as unknown as Json, {
      timeoutMs: timeouts.start,
      waitsFor: 'the launcher to take this member in',
    })
    // The body comes up while the others join; it gets its task when the epoch opens.
    if (this.#work.needs.body !== 'control') this.#host.prepare({ compiled: this.#work.compiled, env: this.#env() })
    this.#ready.resolve()
    return code
  }

  /** Somebody wants this process to end: the owner is told, and ends the gang; without it the member ends itself. */
  asked(signal: NodeJS.Signals): void {
    if (this.#closing || this.#stopping) return
    this.#fail(failureOfSignal(signal, this.#place), 0)
    const patience = this.#boot.timeouts.lease
    setTimeout(
      () => this.#stopping ?? this.#orphaned(`the agent got ${signal} and the launcher said nothing`),
      patience,
    )
  }

  /** Something in the agent itself threw: said once, then the member ends. */
  fault(error: unknown): void {
    process.stderr.write(`gangflow agent: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
    if (this.#closing) return
    this.#fail(failureOfAgent(error, this.#place), 0)
    if (!this.#formed) void this.#owner.flushed().then(() => this.#exit(70))
  }

  async #dialData(rendezvous: string): Promise<Peer> {
    const signal = AbortSignal.timeout(this.#boot.timeouts.start)
    const { stream } = await this.#tools.transport.connect(rendezvous, { signal })
    await answer(stream, this.#key, { member: this.#boot.member.memberId, purpose: 'data', epoch: 0 }, signal)
    return new Peer(stream, { name: 'the launcher' })
  }

  /** The epoch opens: who is who. Answers at once; what comes of it is reported. */
  #form(formation: Formation): void {
    if (this.#formed || this.#stopping) return
    const { member, timeouts } = this.#boot
    const node = formation.roster.entries.findIndex((entry) => entry.memberId === member.memberId)
    this.#place.node = node
    this.#owner.epoch = formation.epoch
    const spool = member.spool
    const commands = new Commands({
      keeper: this.#keeper,
      node,
      host: member.host,
      env: { ...this.#env(), ...gangFacts(this.#boot.address, formation, node) },
      cwd: this.#cwd,
      spool,
      stopGraceMs: timeouts.stopGrace,
      live: (line) => this.#live.line(line),
      log: (process, file) =>
        new LogSink({
          store: this.#datastore,
          target: { address: this.#boot.address, epoch: formation.epoch, node, process },
          file,
        }),
    })
    const services = new Services(commands, this.#keeper, formation.roster.entries.length, timeouts.collective)
    const channels = new Channels(this.#raw)
    const peers = new Peers(this.#tools.transport, this.#key, member.memberId, formation, (from, event, data) =>
      this.#body?.peer?.event(`gang.${event}`, { ...(data as object), node: from } as Json),
    )
    this.#formed = { formation, commands, peers, channels }
    void keepDoor(this.#listener, {
      key: this.#key,
      admit: (hello) => peerRefusal(formation, hello),
      enter: ({ purpose, member: from }, { stream }) => {
        const fromNode = formation.roster.entries.findIndex((entry) => entry.memberId === from)
        if (purpose === 'peer')
          new Peer(stream, { name: `the agent of node ${fromNode}`, methods: services.methods(fromNode) })
        else if (purpose === 'copy') void receiveFile(stream, this.#cwd)
        else channels.arrive(purpose.slice('stream:'.length), fromNode, stream)
      },
    })
    const path = this.#env()['PATH'] ?? ''
    const missing = missingExecutables(this.#work.needs.executables ?? [], path)
    if (missing.length > 0) {
      this.#fail(failureOfExecutables(missing, path, this.#place), 0)
      return
    }
    // The control's named ports are held before anybody can ask for them.
    if (node === 0) for (const name of this.#work.needs.ports ?? []) services.hold(name).catch(() => {})
    if (this.#work.needs.body !== 'control' || node === 0) this.#runBody(formation)
  }

  #runBody(formation: Formation): void {
    const { member, timeouts, secret, address } = this.#boot
    const { commands, peers, channels } = this.#formed!
    const node = this.#place.node
    const state = { calls: 0, ended: false } as { run: BodyRun; calls: number; ended: boolean; peer?: Peer }
    this.#body = state
    state.run = this.#host.run({
      spec: { compiled: this.#work.compiled, env: this.#env() },
      assignment: {
        ...this.#work.assignment,
        epoch: formation.epoch,
        node,
        temp: member.temp,
        gang: { roster: formation.roster, attempt: address.attempt },
      },
      signal: this.#stop.signal,
      inspect: formation.inspect === node,
      methods: bodyMethods({
        node,
        peers,
        raw: this.#raw,
        channels,
        directory: member.directory,
        cwd: this.#cwd,
        env: this.#work.env,
        timeoutMs: timeouts.collective,
        key: (label) => deriveKey(secret, address, `plugin/${label}`),
        fail: (casualty) => this.#blame(casualty),
        called: (seq) => {
          state.calls = Math.max(state.calls, seq)
        },
      }),
      emit: (event) => {
        if (event.type === 'line')
          this.#live.line({
            process: 'body',
            stream: event.stream,
            text: event.text,
            ...(event.skipped ? { skipped: event.skipped } : {}),
          })
        else if (event.type === 'state') this.#data.event('state', { state: event.state })
        else if (event.type === 'progress') this.#data.event('progress', event.data)
        else if (event.type === 'inspect')
          this.#live.line({ process: 'body', stream: 'stderr', text: `Debugger listening on ${event.url}` })
      },
    })
    state.run.peer.then(
      (peer) => {
        state.peer = peer
      },
      () => {},
    )
    void state.run.outcome.then(async (outcome) => {
      state.ended = true
      if (outcome.ok) {
        if (this.#stopping) return
        const { artifacts, transition, ambiguous } = outcome.completion
        // Whoever waits for more collectives from this member is told now, not at a deadline.
        const control = await peers.to(0).catch(() => undefined)
        control?.call('left', { calls: state.calls }).catch(() => {})
        this.#report({
          kind: 'done',
          ageMs: 0,
          completion: { artifacts, transition, ...(ambiguous ? { ambiguous } : {}) },
        })
      } else if (!this.#stopping && !this.#keeperGone) {
        const since = performance.now() - EVIDENCE_MS
        for (const { casualty, exit } of commands.killed(since)) {
          this.#fail(failureOfKill(casualty, exit, this.#place), performance.now() - exit.at)
        }
        this.#fail(failureOfBody(outcome, this.#place), performance.now() - outcome.at)
      }
    })
  }

  /** A plugin names what failed: completed by what this agent saw of that process. */
  #blame(casualty: Casualty): void {
    const { casualty: known, exit } = this.#formed!.commands.complete(casualty)
    // What is stopped, or fails because of that, is no culprit; an exception of its own from before may be.
    const late = exit?.solicited === true || (exit?.at ?? performance.now()) >= this.#stoppedAt
    if (late && !casualty.error) return
    this.#fail(failureOfPlugin(known, exit, this.#place), exit ? performance.now() - exit.at : 0)
  }

  #fail(failure: Failure, ageMs: number): void {
    if (!this.#closing) this.#report({ kind: 'failed', ageMs, failure })
  }

  #report(report: Report): void {
    this.#owner.report('report', report)
  }

  /** TERM to everything here, KILL after the grace. The first order counts; the same account for all. */
  #halt(order: StopOrder): Promise<Account> {
    this.#stopping ??= this.#haltNow(order)
    return this.#stopping
  }

  async #haltNow(order: StopOrder): Promise<Account> {
    const stopped: Casualty[] = []
    this.#stoppedAt = performance.now()
    const body = this.#body
    const running = body && !body.ended
    const evidence = this.#formed?.commands.killed(performance.now() - EVIDENCE_MS) ?? []
    const reason: StopReason = { cause: order.cause, why: order.why, graceMs: order.graceMs }
    this.#stop.abort(reason)
    const [, commands] = await Promise.all([
      running ? body.run.outcome : undefined,
      this.#formed?.commands.stopAll(order.graceMs) ?? [],
    ])
    if (running) {
      const outcome = await body.run.outcome
      stopped.push({ ...(outcome.ok ? { kind: 'body', process: 'body' } : outcome.casualty), ...this.#place })
    }
    stopped.push(...commands)
    // What escaped its parent (a daemon, a double fork) still hangs below the keeper.
    await this.#keeper?.stopAll({ graceMs: Math.min(order.graceMs, this.#boot.timeouts.stopGrace) }).catch(() => {})
    const now = performance.now()
    return {
      stopped,
      complaints: [],
      killed: evidence.map(({ casualty, exit }) => ({
        kind: 'failed',
        ageMs: now - exit.at,
        failure: failureOfKill(casualty, exit, this.#place),
      })),
    }
  }

  /** The end of the linger: nothing of the user runs here any more, undos are done, logs are stored. */
  #finish(): Promise<Account> {
    this.#finishing ??= this.#finishNow()
    return this.#finishing
  }

  async #finishNow(): Promise<Account> {
    this.#closing = true
    const { stopped } = await this.#halt({
      why: 'the gang has ended',
      cause: 'cancelled',
      graceMs: this.#boot.timeouts.stopGrace,
    })
    const { directory, spool } = this.#boot.member
    if (!this.#keeper) return { stopped, complaints: [], killed: [] }
    const complaints = await performUndos(directory, this.#keeper, { env: this.#env(), cwd: this.#cwd, spool })
    await this.#body?.run.logged.catch((error: unknown) =>
      complaints.push(`the log of node ${this.#place.node}: ${messageOf(error)}`),
    )
    complaints.push(...((await this.#formed?.commands.logged()) ?? []))
    await this.#live.drain()
    return { stopped, complaints, killed: [] }
  }

  /** Goes, after what was said has been sent. */
  #leave(code: number): void {
    setTimeout(() => void this.#close(code), 10)
  }

  async #close(code: number): Promise<void> {
    this.#closing = true
    this.#owner.close()
    this.#data?.close()
    this.#formed?.channels.close()
    await Promise.allSettled([
      this.#formed?.peers.close(),
      this.#host?.close(),
      this.#listener?.close(),
      this.#raw?.close(),
    ])
    await this.#keeper?.close({ graceMs: 0 }).catch(() => {})
    await this.#datastore?.close().catch(() => {})
    for (const folder of [this.#boot.member.temp, this.#boot.member.directory])
      rmSync(folder, { recursive: true, force: true })
    if (this.#last) removeEmptied(this.#boot)
    this.#exit(code)
  }

  #env(): Readonly<Record<string, string>> {
    return memberEnvironment(this.#work?.env ?? {}, this.#boot.member.gpus)
  }

  #mark(): string {
    const { flow, run, step, task, attempt } = this.#boot.address
    return [flow, run, step, task, attempt, this.#boot.member.memberId].join('/')
  }

  /** Folder of the flow file: what relative paths mean everywhere (D8). */
  get #cwd(): string {
    return this.#work ? dirname(this.#work.compiled.file) : '/'
  }

  async #commit({ key, value }: { key: string; value: Json }): Promise<boolean> {
    return this.#datastore.createRecord(key, value)
  }

  /** The gang has lost its owner: everything here ends, and the lowest living member writes the account (D4). */
  async #orphaned(why: string): Promise<void> {
    if (this.#closing) return
    this.#owner.close()
    if (!this.#keeper || !this.#datastore) return this.#exit(1)
    const { timeouts, address } = this.#boot
    const { stopped } = await this.#halt({ why, cause: 'infrastructure', graceMs: timeouts.stopGrace })
    await writeOrphanVerdict(this.#datastore, {
      address,
      node: this.#place.node,
      size: this.#formed?.formation.roster.entries.length ?? 0,
      why,
      stopped,
    })
    const late = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), timeouts.linger))
    const account = await Promise.race([this.#finish(), late])
    // Nobody comes after it to clean up; a log that could not be stored stays where it can be found.
    if (account?.complaints.length === 0) rmSync(this.#boot.member.spool, { recursive: true, force: true })
    this.#last = true
    await this.#close(1)
  }
}
