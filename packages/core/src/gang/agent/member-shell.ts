import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { GangflowError, messageOf } from '../../errors/base.js'
import type { Casualty } from '../../errors/verdict.js'
import type { Json } from '../../flow/values.js'
import type { GangShellChannel } from '../../plugin/contract.js'
import type { ProcessExit } from '../../process/contract.js'
import { parseAddress } from '../../ssh/address.js'
import { serveAgent } from '../../ssh/agent-protocol.js'
import type { Mesh, Target } from '../../ssh/contract.js'
import { clientKey } from '../../ssh/keys.js'
import type { Listener } from '../contract.js'
import { deriveKey } from '../keys.js'
import { placeShim, type ShellPlaces, shellEnvironment, shellPlaces, writeOpenSsh } from '../shell/files.js'
import type { ShellRequest } from '../shell/frames.js'
import { keptHost } from '../shell/kept-host.js'
import { findNamed } from '../shell/names.js'
import { serveShell } from '../shell/serve.js'
import { listenUnix } from '../transport/unix.js'
import { gangFacts } from './environment.js'
import type { MemberState } from './state.js'

export interface MemberShellOptions {
  readonly state: MemberState
  /** Loads SSH at its first call. */
  readonly mesh: () => Mesh
  /** The native helper's path, where there is one. */
  readonly helper: () => Promise<string | undefined>
}

/** A member's part in the gang's remote shell: what others start here, and what programs here start at others. */
export class MemberShell {
  readonly places: ShellPlaces
  readonly #options: MemberShellOptions
  readonly #listeners: Listener[] = []
  readonly #channels = new Map<number, GangShellChannel>()
  #serving: Promise<{ close(): Promise<void> }> | undefined
  #opened: Promise<void> | undefined
  #shim: Promise<void> | undefined
  #address: Promise<string> | undefined
  readonly #killed: { readonly casualty: Casualty; readonly exit: ProcessExit }[] = []
  #count = 0
  #closed = false

  constructor(options: MemberShellOptions) {
    this.#options = options
    this.places = shellPlaces(options.state.boot.member.directory)
  }

  /** Lets the other members start processes here, below this member's keeper. */
  async serve(): Promise<void> {
    const { state, mesh, helper } = this.#options
    const keeper = state.parts.keeper!
    this.#serving ??= (async () => {
      const host = await keptHost({
        keeper,
        helper: await helper(),
        socket: join(state.boot.member.directory, 'attach.sock'),
        env: () => this.#env(),
        cwd: () => state.cwd,
        graceMs: state.boot.timeouts.stopGrace,
        prepare: () => this.openShim(),
        ended: (command, pid, exit) => this.#ended(command, pid, exit),
      })
      mesh().serve(host)
      return host
    })()
    await this.#serving
  }

  /** Where this member's SSH server is; started at the first need where the gang itself does without SSH. */
  address(): Promise<string> {
    const { state, mesh } = this.#options
    this.#address ??= (async () => {
      await this.serve()
      if (state.boot.transport === 'ssh') return state.parts.listener!.address
      return mesh().listen({ bind: ['127.0.0.1'] })
    })()
    return this.#address
  }

  /** The shim, its socket, the ssh-agent's, and OpenSSH's files: made once, at the first need. */
  open(): Promise<void> {
    this.#opened ??= this.#open()
    return this.#opened
  }

  /** The epoch is over: the next one's members are others. */
  renew(): void {
    this.#opened = undefined
    this.#channels.clear()
  }

  /** The shim alone, as what others start here has it too: such a program may start further ones. */
  openShim(): Promise<void> {
    this.#shim ??= this.#openShim()
    return this.#shim
  }

  /** What a program needs to have besides its environment to find the shell. */
  environment(): Readonly<Record<string, string>> {
    const { PATH } = this.#options.state.env
    const own = PATH?.endsWith(`:${this.places.bin}`) ? PATH.slice(0, -this.places.bin.length - 1) : PATH
    return shellEnvironment(this.places, own)
  }

  /** The channels that programs here have opened, open ones and the last that ended. */
  channels(): readonly GangShellChannel[] {
    return [...this.#channels.values()]
  }

  /** What others started here and a signal ended that nobody in the gang had sent, since `since`, oldest first. */
  killed(since: number): readonly { readonly casualty: Casualty; readonly exit: ProcessExit }[] {
    return this.#killed.filter(({ exit }) => exit.at >= since)
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled([
      ...this.#listeners.map((listener) => listener.close()),
      this.#serving?.then((host) => host.close()),
    ])
    if (this.#serving || this.#address || this.#opened) await this.#options.mesh().close()
  }

  async #open(): Promise<void> {
    const { state } = this.#options
    await this.openShim()
    const { entries } = state.formed!.formation.roster
    const members = await Promise.all(
      entries.map(async (named) => ({ named, listens: await this.#listensOf(named.node) })),
    )
    await writeOpenSsh(this.places, members, (label) => this.#derive(label), state.boot.member.memberId)
  }

  async #openShim(): Promise<void> {
    const { helper } = this.#options
    const binary = await helper()
    if (binary === undefined) {
      throw new GangflowError({
        code: 'E_MESH_NO_HELPER',
        what: 'the remote shell of a gang needs the native helper, and this platform has none',
        fix: 'install @gangflow/keeper for it, or a C compiler and build again',
      })
    }
    placeShim(this.places, binary)
    await this.serve()
    const key = clientKey((label) => this.#derive(label))
    await this.#listen(this.places.agent, (stream) => serveAgent(stream, key))
    await this.#listen(this.places.socket, (stream) => {
      void serveShell(stream, {
        mesh: this.#options.mesh,
        find: (host) => this.#find(host),
        begun: (request, target) => this.#begun(request, target),
      })
    })
  }

  async #listen(path: string, take: (stream: Duplex) => void): Promise<void> {
    const listener = await listenUnix(path)
    this.#listeners.push(listener)
    if (this.#closed) return listener.close()
    void (async () => {
      for await (const { stream } of listener) take(stream)
    })()
  }

  async #find(host: string): Promise<Target> {
    const { state } = this.#options
    const { node } = findNamed(state.formed!.formation.roster.entries, host, state.place.node)
    return parseAddress(await this.#listensOf(node))!
  }

  async #listensOf(node: number): Promise<string> {
    const { state } = this.#options
    const { formation, peers } = state.formed!
    const { memberId } = formation.roster.entries[node]!
    if (state.boot.transport === 'ssh') return formation.listens[memberId]!
    return (await peers.to(node)).call<string>('ssh', null, { timeoutMs: state.boot.timeouts.join })
  }

  #begun(request: ShellRequest, target: Target): (end: { exit?: GangShellChannel['exit']; error?: unknown }) => void {
    const { state } = this.#options
    const { node } = findNamed(state.formed!.formation.roster.entries, target.memberId)
    const id = ++this.#count
    const channel = { id, node, host: request.host, command: request.command ?? request.subsystem ?? '' }
    this.#tell({ ...channel, state: 'open' })
    return ({ exit, error }) =>
      this.#tell({ ...channel, state: 'ended', ...(exit && { exit }), ...(error ? { error: messageOf(error) } : {}) })
  }

  #tell(channel: GangShellChannel): void {
    this.#channels.delete(channel.id)
    this.#channels.set(channel.id, channel)
    if (this.#channels.size > KEPT) {
      const oldest = this.channels().find(({ state }) => state === 'ended')
      if (oldest) this.#channels.delete(oldest.id)
    }
    this.#options.state.body?.peer?.event('gang.channel', channel as unknown as Json)
  }

  #ended(command: string, pid: number, exit: ProcessExit): void {
    if (exit.signal === null || exit.solicited) return
    const process = command.length > NAME_LENGTH ? `${command.slice(0, NAME_LENGTH)}…` : command
    this.#killed.push({ casualty: { kind: 'process', process, pid, signal: exit.signal }, exit })
    if (this.#killed.length > KEPT) this.#killed.shift()
  }

  #derive(label: string): Uint8Array {
    const { secret, address } = this.#options.state.boot
    return deriveKey(secret, address, label)
  }

  #env(): Readonly<Record<string, string>> {
    const { boot, env, formed, place } = this.#options.state
    const facts = formed ? gangFacts(boot.address, formed.formation, place.node) : {}
    return { ...env, ...facts, ...this.environment() }
  }
}

/** Ended channels that are remembered for a plugin that asks late. */
const KEPT = 4096
/** Characters of a command by which a verdict names it. */
const NAME_LENGTH = 80
