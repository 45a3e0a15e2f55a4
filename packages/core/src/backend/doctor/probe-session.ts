import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import { quoted } from '../../errors/shell-word.js'
import { sshFailure } from '../ssh/failures.js'
import type { HostSpec } from '../ssh/hosts.js'
import { ConnectionFailed } from '../ssh/session.js'
import type { SshWay } from '../ssh/ssh-argv.js'
import { sshArgv } from '../ssh/ssh-argv.js'
import type { ProbeAnswers, ProbeOrder } from './probe.js'

type Order<K extends ProbeOrder['do']> = Omit<Extract<ProbeOrder, { do: K }>, 'id' | 'do'>

/** The probe on one host, over an SSH connection of its own; it ends with the connection. */
export class ProbeSession {
  readonly #child: ChildProcess
  readonly #nonce = randomBytes(12).toString('hex')
  readonly #waiting = new Map<number, { resolve: (value: never) => void; reject: (error: unknown) => void }>()
  readonly #hearing = new Map<number, (line: string) => void>()
  #last = 0
  #stderr = ''
  #over: Error | undefined

  /** Resolves when the probe speaks. Rejects with `ConnectionFailed`, or with the signal's reason. */
  static async open(
    spec: HostSpec,
    way: SshWay,
    about: { readonly node: string; readonly program: string; readonly work: string },
    signal: AbortSignal,
  ): Promise<ProbeSession> {
    const session = new ProbeSession(spec, way, about)
    try {
      await session.#answer(0, signal)
      return session
    } catch (error) {
      session.close()
      throw error
    }
  }

  private constructor(
    spec: HostSpec,
    way: SshWay,
    { node, program, work }: { readonly node: string; readonly program: string; readonly work: string },
  ) {
    const argv = sshArgv(spec, way)
    // A session of its own: Ctrl-C at the terminal is for the launcher, and nothing can ask for a password.
    this.#child = spawn(argv[0]!, argv.slice(1), { stdio: ['pipe', 'pipe', 'pipe'], detached: true })
    this.#child.stdin!.on('error', () => {})
    this.#child.stderr!.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + chunk.toString('utf8')).slice(-8192)
    })
    // 255 is ssh's own; any other exit code is that of what ran on the host.
    const end = (how: string, own: boolean) => {
      this.#over ??= own
        ? new ConnectionFailed(sshFailure(spec.host, this.#stderr, how))
        : new Error(`what looks at the host ended there (${how}): ${this.#stderr.trim().slice(-300)}`)
      for (const { reject } of this.#waiting.values()) reject(this.#over)
      this.#waiting.clear()
    }
    this.#child.once('error', (error) => end(error.message, true))
    this.#child.once('close', (code, by) => end(by ?? `exit code ${code}`, code === 255))
    createInterface(this.#child.stdout!).on('line', (line) => this.#hear(line))
    const words = ['exec', node, program, this.#nonce, work].map(quoted)
    this.#child.stdin!.write(`${words.join(' ').replace("'exec'", 'exec')}\n`)
  }

  ask<K extends ProbeOrder['do']>(what: K, order: Order<K>, signal: AbortSignal): Promise<ProbeAnswers[K]> {
    return this.#ask(++this.#last, what, order, signal)
  }

  /** Runs a command whose lines are told as they come; `end` ends it. */
  converse(argv: readonly string[], timeoutMs: number, signal: AbortSignal, hear: (line: string) => void) {
    const id = ++this.#last
    this.#hearing.set(id, hear)
    const ended = this.#ask(id, 'run', { argv, timeoutMs, aloud: true }, signal).finally(() => this.#hearing.delete(id))
    return { ended, end: () => void this.ask('end', { of: id }, signal).catch(() => {}) }
  }

  #ask<K extends ProbeOrder['do']>(
    id: number,
    what: K,
    order: Order<K>,
    signal: AbortSignal,
  ): Promise<ProbeAnswers[K]> {
    const answer = this.#answer(id, signal) as Promise<ProbeAnswers[K]>
    this.#child.stdin!.write(`${JSON.stringify({ id, do: what, ...order })}\n`)
    return answer
  }

  close(): void {
    this.#child.stdin!.destroy()
    this.#child.kill('SIGTERM')
  }

  #hear(line: string): void {
    const at = line.indexOf(`${this.#nonce} `)
    if (at < 0) return
    const told = JSON.parse(line.slice(at + this.#nonce.length + 1)) as {
      id: number
      value?: never
      error?: string
      line?: string
    }
    if (told.line !== undefined) {
      this.#hearing.get(told.id)?.(told.line)
      return
    }
    const waiting = this.#waiting.get(told.id)
    this.#waiting.delete(told.id)
    if (told.error === undefined) waiting?.resolve(told.value as never)
    else waiting?.reject(new Error(told.error))
  }

  #answer(id: number, signal: AbortSignal): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#over) return reject(this.#over)
      if (signal.aborted) return reject(signal.reason)
      const stop = () => {
        this.#waiting.delete(id)
        reject(signal.reason)
      }
      const settled =
        <T>(done: (value: T) => void) =>
        (value: T) => {
          signal.removeEventListener('abort', stop)
          done(value)
        }
      this.#waiting.set(id, { resolve: settled(resolve) as never, reject: settled(reject) })
      signal.addEventListener('abort', stop, { once: true })
    })
  }
}
