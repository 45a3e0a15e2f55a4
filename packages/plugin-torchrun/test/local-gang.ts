import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Casualty } from '@gangflow/core'
import type { Command, CommandResult, GangContext, GangProcess, Json } from '@gangflow/core/plugin'

interface Started {
  readonly node: number
  readonly command: Command
  readonly child: ChildProcess
  stdout: string
  stderr: string
}

/**
 * A gang of members within this process: the collectives are promises, the processes are real. For what the plugin
 * does with its ranks; tests/integration runs the same through real agents and keepers.
 */
export class LocalGang {
  readonly root = mkdtempSync(join(tmpdir(), 'gf-torch-'))
  readonly started: Started[] = []
  readonly failures: Casualty[] = []
  readonly records = new Map<string, Json>()
  readonly collected = new Map<string, string>()
  /** Ports to hand out before free ones. */
  readonly ports: number[] = []
  private readonly stopping = new AbortController()
  private readonly values = new Map<string, Json>()
  private readonly waiting = new Map<string, ((value: Json) => void)[]>()
  private readonly rounds = new Map<
    number,
    { given: Map<number, unknown>; settle: (all: unknown[]) => void; all: Promise<unknown[]> }
  >()

  constructor(
    readonly size: number,
    readonly flowDir: string,
    readonly gpus: readonly string[] = [],
  ) {}

  member(node: number): GangContext {
    let sequence = 0
    const entries = Array.from({ length: this.size }, (_, index) => ({
      node: index,
      memberId: `m${index}`,
      host: 'here',
      addresses: ['127.0.0.1'],
      slots: 1,
      gpus: this.gpus,
    }))
    const temp = join(this.root, `m${node}`)
    mkdirSync(temp, { recursive: true })
    const context = {
      numNodes: this.size,
      nodeIndex: node,
      mainIp: '127.0.0.1',
      controlTaskId: '1',
      attempt: 0,
      epoch: 1,
      roster: { epoch: 1, control: 'm0', entries },
      isControl: node === 0,
      signal: this.stopping.signal,
      step: 'train',
      taskId: '1',
      resources: {},
      temp,
      flowDir: this.flowDir,
      allGather: <T>(value: T, options?: { timeout?: number }) =>
        this.gather(node, sequence++, value, options?.timeout),
      kv: {
        set: async (key: string, value: Json) => {
          this.values.set(key, value)
          for (const settle of this.waiting.get(key) ?? []) settle(value)
        },
        get: (key: string) =>
          this.values.has(key)
            ? Promise.resolve(this.values.get(key)!)
            : new Promise<Json>((resolve) => this.waiting.set(key, [...(this.waiting.get(key) ?? []), resolve])),
        peek: async (key: string) => this.values.get(key),
      },
      reservePort: async () => ({ node, port: this.ports.shift() ?? (await freePort()), release: async () => {} }),
      start: async (_: unknown, command: Command) => this.start(node, command),
      record: async (name: string, request: Json) => void this.records.set(`${node}/${name}`, request),
      fail: async (casualty: Casualty) => {
        this.failures.push(casualty)
        this.stop()
      },
      collect: async (artifact: string, directory: string) => void this.collected.set(`${node}/${artifact}`, directory),
      progress: () => {},
    }
    return context as unknown as GangContext
  }

  log(name: string): string {
    const started = this.started.find(({ command }) => command.name === name)
    return started ? started.stdout + started.stderr : ''
  }

  /** TERM to all, KILL half a second later, as a gang after its first failure. */
  stop(): void {
    this.stopping.abort(new Error('the gang was stopped'))
    for (const { child } of this.started) if (child.exitCode === null) child.kill('SIGTERM')
    setTimeout(() => this.kill(), 500)
  }

  kill(): void {
    for (const { child } of this.started) {
      try {
        if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, 'SIGKILL')
      } catch {
        // Gone already.
      }
    }
  }

  dispose(): void {
    this.kill()
    rmSync(this.root, { recursive: true, force: true })
  }

  private async gather<T>(node: number, sequence: number, value: T, timeout = 60_000): Promise<T[]> {
    let round = this.rounds.get(sequence)
    if (!round) {
      let settle!: (all: unknown[]) => void
      const all = new Promise<unknown[]>((resolve) => (settle = resolve))
      round = { given: new Map(), settle, all }
      this.rounds.set(sequence, round)
    }
    round.given.set(node, value)
    if (round.given.size === this.size) round.settle([...round.given].sort(([a], [b]) => a - b).map(([, v]) => v))
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      const missing = [...Array(this.size).keys()].filter((index) => !round.given.has(index))
      const error = Object.assign(new Error(`waited for node ${missing}`), { code: 'E_GANG_COLLECTIVE_TIMEOUT' })
      Object.defineProperty(error, Symbol.for('@gangflow/core.error'), { value: true })
      timer = setTimeout(() => reject(error), timeout)
      this.stopping.signal.addEventListener('abort', () => reject(this.stopping.signal.reason))
    })
    late.catch(() => {})
    return Promise.race([round.all as Promise<T[]>, late]).finally(() => clearTimeout(timer))
  }

  private start(node: number, command: Command): GangProcess {
    const [program, ...args] = command.argv
    const child = spawn(program!, args, {
      cwd: command.cwd,
      env: { ...process.env, ...command.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    const started: Started = { node, command, child, stdout: '', stderr: '' }
    this.started.push(started)
    const since = performance.now()
    const listeners: Parameters<GangProcess['onLine']>[0][] = []
    for (const stream of ['stdout', 'stderr'] as const) {
      let rest = ''
      child[stream]!.setEncoding('utf8').on('data', (text: string) => {
        started[stream] = (started[stream] + text).slice(-1 << 20)
        if (listeners.length === 0) return
        const lines = (rest + text).split('\n')
        rest = lines.pop()!
        for (const line of lines) for (const listener of listeners) listener({ node, stream, text: line })
      })
    }
    const ended = new Promise<CommandResult[]>((resolve) => {
      child.on('close', (exitCode, signal) => {
        const { stdout, stderr } = started
        resolve([{ node, exitCode, signal, stdout, stderr, durationMs: performance.now() - since }])
      })
      child.on('error', () => resolve([{ node, exitCode: 127, signal: null, stdout: '', stderr: '', durationMs: 0 }]))
    })
    return {
      ended,
      onLine: (listener) => void listeners.push(listener),
      signal: async (signal) => void child.kill(signal),
      stop: async () => {
        child.kill('SIGTERM')
        const timer = setTimeout(() => child.kill('SIGKILL'), 500)
        await ended
        clearTimeout(timer)
      },
    }
  }
}

export async function freePort(): Promise<number> {
  const server = await listening()
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Somebody who listens on a port of this machine. */
export function listening(): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer((socket) => socket.destroy()).listen(0, () => resolve(server))
  })
}
