import { type ChildProcess, spawn } from 'node:child_process'
import { dirname } from 'node:path'
import type { Readable } from 'node:stream'
import { GangflowError } from '../errors/base.js'
import { type Duration, milliseconds } from '../errors/duration.js'
import type { FlowDescription } from '../flow/description.js'
import { type DescribeReply, type DescribeRequest, type LoadTrace, replyFd } from './describe-protocol.js'

export interface Described {
  readonly description: FlowDescription
  readonly trace: LoadTrace
}

export interface DescribeOptions {
  /** Path of the `dist/describe.js` of the flow's core. */
  readonly entry: string
  /** The person's file; the process runs in its folder, as bodies do. */
  readonly file: string
  readonly execArgv?: readonly string[]
  readonly signal?: AbortSignal
  /** How long loading and describing may take. Default 60 s. */
  readonly timeout?: Duration
}

/** A describe process: it starts at once, and waits for the bundle that it is to describe. */
export class DescribeProcess {
  readonly #options: DescribeOptions
  readonly #child: ChildProcess
  readonly #ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  readonly #reply: Promise<string | undefined>
  /** The end of what the person's module printed. */
  #printed = ''

  constructor(options: DescribeOptions) {
    this.#options = options
    const flags = (options.execArgv ?? []).filter((flag) => !/^--inspect/.test(flag))
    this.#child = spawn(process.execPath, [...flags, options.entry], {
      cwd: dirname(options.file),
      stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
    })
    this.#ended = new Promise((settle) => {
      this.#child.once('exit', (code, signal) => settle({ code, signal }))
      this.#child.once('error', () => settle({ code: null, signal: null }))
    })
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#printed = (this.#printed + text).slice(-8192)
      })
    }
    this.#child.stdin?.on('error', () => {})
    this.#reply = firstLine(this.#child.stdio[replyFd] as Readable)
  }

  /** Ends it, asked or not. */
  end(): void {
    this.#child.kill('SIGKILL')
    for (const stream of this.#child.stdio) stream?.destroy()
  }

  async describe(bundle: string, sources: readonly string[]): Promise<Described> {
    const { file, signal } = this.#options
    const limit = milliseconds(this.#options.timeout ?? '60s')
    const request: DescribeRequest = { protocol: 1, bundle, file, sources }
    this.#child.stdin?.end(JSON.stringify(request))
    let timer: NodeJS.Timeout | undefined
    let abort: (() => void) | undefined
    try {
      const line = await Promise.race([
        this.#reply,
        new Promise<never>((_, reject) => {
          timer = setTimeout(() => reject(tookTooLong(file, limit, this.#printed)), limit)
          abort = () => reject(signal?.reason)
          if (signal?.aborted) abort()
          signal?.addEventListener('abort', abort, { once: true })
        }),
      ])
      if (line === undefined) throw endedEarly(file, await this.#ended, this.#printed)
      const reply = JSON.parse(line) as DescribeReply
      if ('error' in reply) throw new GangflowError(reply.error)
      return reply
    } finally {
      clearTimeout(timer)
      if (abort) signal?.removeEventListener('abort', abort)
      this.end()
    }
  }
}

/** The first line of a stream; undefined when it ends before one does. */
async function firstLine(stream: Readable): Promise<string | undefined> {
  let text = ''
  try {
    for await (const chunk of stream.setEncoding('utf8')) {
      text += chunk as string
      const end = text.indexOf('\n', text.length - (chunk as string).length)
      if (end >= 0) return text.slice(0, end)
    }
  } catch {
    // Destroyed by `end()`.
  }
  return undefined
}

function tookTooLong(file: string, limit: number, printed: string): GangflowError {
  return new GangflowError({
    code: 'E_FLOW_LOAD_TIMEOUT',
    what: `${file} was not loaded within ${limit / 1000} s${tail(printed)}`,
    fix: 'move what takes long (or waits for a network) from the top level of the file into a step',
    details: { file, printed },
  })
}

function endedEarly(
  file: string,
  { code, signal }: { code: number | null; signal: NodeJS.Signals | null },
  printed: string,
): GangflowError {
  // Node's own exit code for a module whose top-level await can never settle.
  const unsettled = code === 13
  const how = signal === null ? `exited with code ${code}` : `was ended by ${signal}`
  return new GangflowError({
    code: 'E_FLOW_LOAD',
    what: unsettled
      ? `${file} cannot be loaded: it awaits at its top level what never settles`
      : `${file} cannot be loaded: the process that loaded it ${how}${tail(printed)}`,
    fix: unsettled
      ? 'move the await into a step, or await something that settles'
      : 'take process.exit() and whatever may crash out of what runs while the file is loaded',
    details: { file, exitCode: code, signal, printed },
  })
}

function tail(printed: string): string {
  const lines = printed.trimEnd().split('\n').slice(-10)
  return lines.join('') === '' ? '' : `; its last lines:\n${lines.map((line) => `    ${line}`).join('\n')}`
}
