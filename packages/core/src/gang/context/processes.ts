import { basename } from 'node:path'
import { GangflowError } from '../../errors/base.js'
import type { Json } from '../../flow/values.js'
import type { CallOptions, Command, CommandResult, GangProcess, Nodes } from '../../plugin/contract.js'
import { call, type Link, nodeList, timeoutOf } from './link.js'

type Line = Parameters<Parameters<GangProcess['onLine']>[0]>[0]

interface Running {
  readonly waiting: Set<number>
  readonly results: Map<number, CommandResult>
  readonly listeners: Set<(line: Line) => void>
  readonly settle: () => void
}

/** `start` and `exec`: commands on members, run by their agents. */
export function processes(link: Link) {
  const running = new Map<string, Running>()
  let lastId = 0
  link.on('gang.lines', (data) => {
    const { id, node, lines } = data as unknown as { id: string; node: number; lines: Omit<Line, 'node'>[] }
    for (const line of lines) for (const listener of running.get(id)?.listeners ?? []) listener({ node, ...line })
  })
  link.on('gang.exit', (data) => {
    const { id, result } = data as unknown as { id: string; result: CommandResult }
    const group = running.get(id)
    if (!group) return
    group.results.set(result.node, result)
    group.waiting.delete(result.node)
    if (group.waiting.size === 0) group.settle()
  })

  const begin = async (nodes: Nodes, command: Command | ((node: number) => Command), options?: CallOptions) => {
    const targets = nodeList(link, nodes)
    const id = `${link.node}.${++lastId}`
    const commands = Object.fromEntries(
      targets.map((node) => [node, wire(typeof command === 'function' ? command(node) : command)]),
    )
    let settle!: () => void
    const all = new Promise<void>((resolve) => {
      settle = resolve
    })
    const group: Running = { waiting: new Set(targets), results: new Map(), listeners: new Set(), settle }
    running.set(id, group)
    // Its end comes as an event: until then this is no wait without hope.
    const release = link.peer.hold()
    if (targets.length === 0) settle()
    try {
      await call(link, 'gang.start', { id, commands }, options)
    } catch (error) {
      running.delete(id)
      release()
      throw error
    }
    const ended = all.then(() => {
      release()
      running.delete(id)
      return [...group.results.values()].sort((a, b) => a.node - b.node)
    })
    return { id, group, ended }
  }

  return {
    async start(nodes: Nodes, command: Command | ((node: number) => Command)): Promise<GangProcess> {
      const { id, group, ended } = await begin(nodes, command)
      return {
        ended,
        onLine: (listener) => {
          group.listeners.add(listener)
          // The lines from the start on were held; nothing travels before somebody listens.
          if (group.listeners.size === 1) call(link, 'gang.watch', { id }).catch(() => {})
        },
        async signal(signal) {
          await call(link, 'gang.signal', { id, signal })
        },
        async stop() {
          // What one that ended by itself has left behind ends too.
          const stopped = call(link, 'gang.stop', { id })
          if (group.waiting.size === 0) await stopped.catch(() => {})
          else await stopped
          await ended
        },
      }
    },

    async exec(
      nodes: Nodes,
      command: Command | readonly string[],
      options?: CallOptions,
    ): Promise<readonly CommandResult[]> {
      const whole: Command = isArgv(command) ? { argv: command } : command
      const { id, group, ended } = await begin(nodes, whole, options)
      const limit = timeoutOf(options)
      let timer: NodeJS.Timeout | undefined
      let aborted: (() => void) | undefined
      const given = new Promise<never>((_, reject) => {
        if (limit !== null) timer = setTimeout(() => reject(late(whole, limit, [...group.waiting])), limit)
        aborted = () => reject(options?.signal?.aborted ? options.signal.reason : link.signal.reason)
        options?.signal?.addEventListener('abort', aborted)
        link.signal.addEventListener('abort', aborted)
      })
      try {
        return await Promise.race([ended, given])
      } catch (error) {
        await call(link, 'gang.stop', { id }).catch(() => {})
        throw error
      } finally {
        clearTimeout(timer)
        if (aborted) {
          options?.signal?.removeEventListener('abort', aborted)
          link.signal.removeEventListener('abort', aborted)
        }
      }
    },
  }
}

const isArgv = (command: Command | readonly string[]): command is readonly string[] => Array.isArray(command)

/** A command as JSON; refuses what cannot be started before any member is asked. */
function wire(command: Command): Json {
  const { argv, name, env, cwd, stdin, rank, stopGraceMs, service, show } = command
  if (
    !Array.isArray(argv) ||
    argv.length === 0 ||
    argv.some((part) => typeof part !== 'string' || part.includes('\0')) ||
    argv[0] === ''
  ) {
    throw new GangflowError({
      code: 'E_GANG_COMMAND',
      what: `${JSON.stringify(argv)} is no command: it must be a list of strings that begins with a program`,
      fix: "pass the program and each argument as its own string, such as ['python3', 'train.py', '--lr', '0.1']",
    })
  }
  return {
    argv: [...argv],
    name: name ?? basename(argv[0]!),
    ...(env ? { env: { ...env } } : {}),
    ...(cwd === undefined ? {} : { cwd }),
    ...(stdin ? { stdin: Buffer.from(stdin).toString('base64') } : {}),
    ...(rank === undefined ? {} : { rank }),
    ...(stopGraceMs === undefined ? {} : { stopGraceMs }),
    ...(service === undefined ? {} : { service }),
    ...(show === undefined ? {} : { show }),
  }
}

const late = (command: Command, limit: number, waiting: readonly number[]): GangflowError =>
  new GangflowError({
    code: 'E_GANG_EXEC_TIMEOUT',
    what: `'${command.argv.join(' ')}' did not end within ${limit} ms on node ${waiting.join(', ')}; it was stopped`,
    fix: 'see its log, or give exec a longer timeout',
    details: { waiting },
  })
