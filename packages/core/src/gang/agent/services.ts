import { type Methods, type Peer, WithPayload } from '../../body/peer.js'
import type { Json } from '../../flow/values.js'
import type { Undo } from '../../plugin/contract.js'
import type { HeldPort, Keeper } from '../../process/contract.js'
import { Collectives, type Part } from './collectives.js'
import type { Commands, WireCommand } from './commands.js'
import { KeyValueStore } from './key-value.js'
import type { MemberShell } from './member-shell.js'
import { framed, partsOf, type Relay, type Rising, type RisingPart } from './relay.js'

/** What an agent does for other members' agents (and for its own): the methods of a `peer` connection. */
export class Services {
  readonly #collectives: Collectives
  readonly #store = new KeyValueStore()
  readonly #ports = new Map<string, Promise<HeldPort>>()
  /** Commands by the connection that asked for them: they end with it. */
  readonly #asked = new Map<Peer, Set<string>>()

  constructor(
    private readonly commands: Commands,
    private readonly keeper: Keeper,
    size: number,
    private readonly collectiveMs: number,
    private readonly shell: Pick<MemberShell, 'address'>,
    private readonly declare: (undo: Undo) => void,
    /** Of a member that is not the control, in a gang with a tree. */
    private readonly relay?: Relay,
  ) {
    this.#collectives = new Collectives(size)
  }

  /** For one peer; `node` is who the handshake proved it to be. */
  methods(node: number): Methods {
    return {
      collective: async (params, payload, { signal }) => {
        const { timeoutMs, ...part } = params as unknown as Omit<Part, 'node' | 'bytes' | 'timeoutMs'> & {
          timeoutMs: number | null
        }
        const values = await this.#collectives.take(
          { ...part, node, bytes: payload, timeoutMs: timeoutMs ?? this.collectiveMs },
          signal,
        )
        return packed(values)
      },
      ssh: () => this.shell.address(),
      undo: (params) => this.declare(params as unknown as Undo),
      rise: (params, payload, { signal }) => this.#rise(params as unknown as Rising, payload, signal),
      withdraw: (params) => {
        const { seq, node: from } = params as { seq: number; node: number }
        ;(this.relay ?? this.#collectives).withdraw(seq, from)
      },
      left: (params) => {
        const { left } = params as { left: { node: number; calls: number }[] }
        if (this.relay) this.relay.leave(left)
        else for (const one of left) this.#collectives.leave(one.node, one.calls)
      },
      'kv.set': (params) => {
        const { key, value } = params as { key: string; value: Json }
        this.#store.set(key, value)
      },
      'kv.get': (params, _payload, { signal }) => {
        const { key, timeoutMs } = params as { key: string; timeoutMs: number | null }
        return this.#store.get(key, timeoutMs ?? this.collectiveMs, signal)
      },
      'kv.peek': (params) => {
        const value = this.#store.peek((params as { key: string }).key)
        return value === undefined ? {} : { value }
      },
      start: (params, _payload, { peer }) => {
        const { id, command } = params as unknown as { id: string; command: WireCommand }
        this.#watch(peer).add(id)
        return this.commands.start(id, command, {
          exit: (result) => peer.event('exit', { id, result: result as unknown as Json }),
        })
      },
      watch: (params, _payload, { peer }) => {
        const { id } = params as { id: string }
        this.commands.watch(id, (lines) => peer.event('lines', { id, lines: lines as unknown as Json }))
      },
      signal: (params) => {
        const { id, signal } = params as { id: string; signal: NodeJS.Signals }
        this.commands.signal(id, signal)
      },
      stop: (params) => this.commands.stop((params as { id: string }).id),
      port: (params) => this.hold((params as { name: string }).name),
      'port.release': async (params) => {
        const { name } = params as { name: string }
        const held = this.#ports.get(name)
        this.#ports.delete(name)
        await (await held)?.release()
      },
    }
  }

  /** Parts from below in the tree: on to the control, or, on the control, into the collective. */
  async #rise(rising: Rising, payload: Uint8Array, signal: AbortSignal): Promise<WithPayload | undefined> {
    const parts = partsOf(rising, payload)
    if (this.relay) {
      const outcome = this.relay.take(parts)
      return rising.wants ? framed(await outcome) : undefined
    }
    const whole = (part: RisingPart): Part => ({ ...part, timeoutMs: part.timeoutMs ?? this.collectiveMs })
    const taken = parts.map((part) => this.#collectives.take(whole(part)))
    for (const one of taken) one.catch(() => {})
    if (!rising.wants) return undefined
    const gone = () => {
      for (const { seq, node } of parts) this.#collectives.withdraw(seq, node)
    }
    signal.addEventListener('abort', gone, { once: true })
    try {
      return packed(await taken[0]!)
    } finally {
      signal.removeEventListener('abort', gone)
    }
  }

  /** Gives the ports back. */
  async close(): Promise<void> {
    this.relay?.close()
    const held = [...this.#ports.values()]
    this.#ports.clear()
    await Promise.allSettled(held.map(async (port) => (await port).release()))
  }

  /** The port of this name on this member: one and the same for all who ask, until it is released. */
  async hold(name: string): Promise<number> {
    const held = this.#ports.get(name) ?? this.keeper.hold({})
    this.#ports.set(name, held)
    held.catch(() => this.#ports.delete(name))
    return (await held).port
  }

  #watch(peer: Peer): Set<string> {
    const known = this.#asked.get(peer)
    if (known) return known
    const ids = new Set<string>()
    this.#asked.set(peer, ids)
    void peer.closed.then(() => {
      this.#asked.delete(peer)
      for (const id of ids) void this.commands.stop(id).catch(() => {})
    })
    return ids
  }
}

const packed = (values: Awaited<ReturnType<Collectives['take']>>): WithPayload => {
  const bytes = values.map((value) => value.bytes)
  return new WithPayload(
    bytes.length === 1 ? bytes[0]! : Buffer.concat(bytes),
    values.map(({ head, bytes }) => ({ head, length: bytes.length })),
  )
}
