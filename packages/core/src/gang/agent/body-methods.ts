import { type Methods, WithPayload } from '../../body/peer.js'
import type { Casualty, Cause } from '../../errors/verdict.js'
import type { Json } from '../../flow/values.js'
import type { Undo } from '../../plugin/contract.js'
import type { Channels } from './channels.js'
import { describe, type Part } from './collectives.js'
import type { WireCommand } from './commands.js'
import type { MemberShell } from './member-shell.js'
import type { Peers } from './peers.js'
import { framed, type Outcome, type Relay, type RisingPart } from './relay.js'
import type { SealedWays } from './sealed-copy.js'
import { sendFile } from './send-file.js'
import type { RawPort } from './tokens.js'
import { checkUndo } from './undo.js'
import type { At } from './whereabouts.js'

export interface BodyMethodsOptions {
  readonly node: number
  readonly peers: Peers
  readonly sealed?: SealedWays | undefined
  /** In a gang with a tree, on members that are not the control. */
  readonly relay?: Relay | undefined
  readonly raw: RawPort
  readonly channels: Channels
  readonly cwd: string
  readonly shell: MemberShell
  readonly timeoutMs: number
  /** 32 bytes for a plugin's label; the secret itself stays in the agent. */
  key(label: string): Uint8Array
  fail(casualty: Casualty, cause?: Cause): void
  /** Tells whoever watches the run, as the body's `progress` does. */
  progress(data: Json): void
  /** The body called its `seq`-th collective. */
  called(seq: number): void
  /** Where it is in its collectives, for a watchdog. */
  at?(at: At): void
}

/** What this member's body asks of its agent: `context/` is the other end. */
export function bodyMethods(options: BodyMethodsOptions): Methods {
  const { peers, relay, raw, channels, cwd, node, sealed } = options
  const control = () => peers.to(0)
  const nodesOf = new Map<string, number[]>()
  const each = async (id: string, method: string, params: Json) => {
    await Promise.all((nodesOf.get(id) ?? []).map(async (target) => (await peers.to(target)).call(method, params)))
  }
  return {
    'gang.collective': async (params, payload, { signal }) => {
      const part = params as unknown as Omit<Part, 'node' | 'bytes'>
      options.called(part.seq)
      options.at?.({ calls: part.seq, waits: describe(part) })
      const reply = relay
        ? await risen(relay, { ...(params as unknown as RisingPart), node, bytes: payload }, signal)
        : await (await control()).callFrame('collective', params, { payload, signal })
      options.at?.({ calls: part.seq })
      return framed(reply)
    },
    'gang.kv.set': async (params) => (await control()).call('kv.set', params),
    'gang.kv.get': async (params, _payload, { signal }) => (await control()).call('kv.get', params, { signal }),
    'gang.kv.peek': async (params) => (await control()).call('kv.peek', params),
    'gang.start': async (params) => {
      const { id, commands } = params as unknown as { id: string; commands: Record<string, WireCommand> }
      const targets = Object.keys(commands).map(Number)
      nodesOf.set(id, targets)
      const started = await Promise.allSettled(
        targets.map(async (target) =>
          (await peers.to(target)).call('start', { id, command: commands[target] as unknown as Json }),
        ),
      )
      const failed = started.find((one) => one.status === 'rejected')
      if (!failed) return started.map((one) => (one as PromiseFulfilledResult<Json>).value)
      // All or none: a gang's command that one member lacks is of no use on the others.
      await each(id, 'stop', { id }).catch(() => {})
      throw failed.reason
    },
    'gang.watch': async (params) => each((params as { id: string }).id, 'watch', params!),
    'gang.signal': async (params) => each((params as { id: string }).id, 'signal', params!),
    'gang.stop': async (params) => each((params as { id: string }).id, 'stop', params!),
    'gang.copy': async (params, _payload, { signal }) => {
      const request = params as unknown as {
        file: string
        to: string | null
        nodes: number[]
        timeoutMs: number | null
      }
      const timeoutMs = request.timeoutMs ?? options.timeoutMs
      const ways = { dial: peers.dial.bind(peers), onOneHost: peers.onOneHost, sealed }
      await sendFile(ways, { ...request, cwd, timeoutMs, onProgress: options.progress }, signal)
    },
    'gang.key': (params) => new WithPayload(options.key((params as { label: string }).label)),
    'gang.port': async (params) => {
      const { name, node: target } = params as { name: string; node: number }
      return (await peers.to(target)).call('port', { name })
    },
    'gang.port.release': async (params) => {
      const { name, node: target } = params as { name: string; node: number }
      await (await peers.to(target)).call('port.release', { name })
    },
    'gang.connect': async (params) => {
      const { node: target, channel } = params as { node: number; channel: string }
      const { stream } = await peers.dial(target, `stream:${channel}`)
      return { token: raw.offer(stream), socket: raw.socket }
    },
    'gang.listen': (params, _payload, { peer }) => channels.listen((params as { channel: string }).channel, peer),
    'gang.unlisten': (params) => channels.unlisten((params as { channel: string }).channel),
    'gang.shell': async () => {
      const { shell } = options
      await shell.open()
      const { shim, config, agent } = shell.places
      return { shim, config, agent, env: shell.environment(), channels: shell.channels() } as unknown as Json
    },
    'gang.undo': async (params) => {
      const { undo, nodes } = params as unknown as { undo: Undo; nodes: number[] }
      checkUndo(undo)
      await Promise.all(nodes.map(async (target) => (await peers.to(target)).call('undo', undo as unknown as Json)))
    },
    'gang.fail': (params) => {
      const { casualty, cause } = params as unknown as { casualty: Casualty; cause?: Cause }
      options.fail({ ...casualty, node: casualty.node ?? node }, cause)
    },
  }
}

/** The body's part up the tree; who gives it up waits no more, and no more is waited for. */
async function risen(relay: Relay, part: RisingPart, signal: AbortSignal): Promise<Outcome> {
  const withdrawn = () => relay.withdraw(part.seq, part.node)
  signal.addEventListener('abort', withdrawn, { once: true })
  try {
    return await relay.take([part])
  } finally {
    signal.removeEventListener('abort', withdrawn)
  }
}
