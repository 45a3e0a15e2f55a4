import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { StringDecoder } from 'node:string_decoder'
import { GangflowError } from '../../errors/base.js'
import { type HostFacts, readFacts } from './facts.js'
import { sshFailure } from './failures.js'
import { startScript } from './start-script.js'

/** Characters of ssh's own output that are kept for the account of a failure. */
const KEPT = 8 << 10

/** Milliseconds for the script to end by itself. */
const CLOSE_MS = 1_000

/** Directories on the host, made for this session and removed at its end. */
export interface HostPlaces {
  /** For sockets: 0700, short. */
  readonly run: string
  readonly temp: string
  readonly spool: string
}

export interface SessionStart {
  /** Path of the keeper's binary in the runtime's folder. */
  readonly keeper: string
  readonly mark: string
  readonly leaseMs: number
  readonly graceMs: number
  readonly members: readonly string[]
}

/** One SSH connection to a host, on which the start script runs until it has become the host's keeper. */
export class HostSession {
  readonly child: ChildProcess
  readonly #nonce = randomBytes(12).toString('hex')
  readonly #host: string
  #rest = Buffer.alloc(0)
  #stderr = ''
  /** What was last said on stdout and is not ours: an account that lets nobody in says so there. */
  #noise = ''
  #wake: (() => void) | undefined
  #ended: string | undefined
  readonly #pump = (chunk: Buffer): void => {
    this.#rest = Buffer.concat([this.#rest, chunk])
    this.#wake?.()
  }

  constructor(
    host: string,
    argv: readonly string[],
    about: {
      readonly workdir?: string | undefined
      readonly node?: string | undefined
      readonly socket?: string | undefined
    },
  ) {
    this.#host = host
    // A session of its own: Ctrl-C at the terminal is for the launcher, and nothing can ask for a password.
    this.child = spawn(argv[0]!, argv.slice(1), { stdio: ['pipe', 'pipe', 'pipe'], detached: true })
    this.child.stdin!.on('error', () => {})
    const decoder = new StringDecoder('utf8')
    this.child.stderr!.on('data', (chunk: Buffer) => {
      this.#stderr = (this.#stderr + decoder.write(chunk)).slice(-KEPT)
    })
    this.child.stdout!.on('data', this.#pump)
    const ended = (how: string) => {
      this.#ended ??= how
      this.#wake?.()
    }
    this.child.once('error', (error) => ended(error.message))
    this.child.once('close', (code, signal) => ended(signal ?? `exit code ${code}`))
    this.child.stdin!.write(startScript({ nonce: this.#nonce, ...about }))
  }

  /** What ssh itself has said so far. */
  get said(): string {
    return this.#stderr
  }

  /** What the host has. Rejects with a `SshFailure` of the connection. */
  async facts(signal: AbortSignal): Promise<HostFacts> {
    return readFacts(this.#host, await this.#until(['told'], signal))
  }

  /** Makes the host's keeper start; what the connection says from now on is the keeper's. */
  async start(request: SessionStart, signal: AbortSignal): Promise<HostPlaces> {
    const { keeper, mark, leaseMs, graceMs, members } = request
    this.#say(`start ${keeper} ${mark} ${Math.ceil(leaseMs)} ${Math.ceil(graceMs)} ${members.join(' ')}`)
    const told = await this.#until(['ready'], signal)
    const place = (name: string) => told.get(name) ?? ''
    this.child.stdout!.off('data', this.#pump).pause()
    if (this.#rest.length > 0) this.child.stdout!.unshift(this.#rest)
    return { run: place('run'), temp: place('temp'), spool: place('spool') }
  }

  /** Whether a command of one line ends well there. */
  async check(command: string, signal: AbortSignal): Promise<boolean> {
    this.#say(`check ${command}`)
    return (await this.#until(['have', 'lack'], signal)).has('have')
  }

  /** Makes a folder for a layer that another connection then fills. */
  async receive(signal: AbortSignal): Promise<string> {
    this.#say('receive')
    return (await this.#until(['into'], signal)).get('into') ?? ''
  }

  /** Gives what was received its name, unless a command of one line finds that another run has brought it meanwhile. */
  async keep(layer: string, present: string, signal: AbortSignal): Promise<void> {
    this.#say(`keep ${layer} ${present}`)
    await this.#until(['kept'], signal)
  }

  /**
   * Ends the connection: the script, which may only now be read there, finds the end of its input and removes what it
   * made, the forwarded socket too. Who does not end by that is ended.
   */
  close(): void {
    this.child.stdin!.end()
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const timer = setTimeout(() => this.child.kill('SIGTERM'), CLOSE_MS)
    this.child.once('exit', () => clearTimeout(timer))
  }

  #say(line: string): void {
    this.child.stdin!.write(`${line}\n`)
  }

  async #until(last: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
    const told = new Map<string, string>()
    const woken = () => this.#wake?.()
    signal.addEventListener('abort', woken, { once: true })
    try {
      for (;;) {
        for (let line = this.#line(); line !== undefined; line = this.#line()) {
          const [word, text] = line
          if (word === 'fault') throw this.#fault(text)
          told.set(word, text)
          if (last.includes(word)) return told
        }
        if (signal.aborted) throw signal.reason
        if (this.#ended !== undefined)
          throw new ConnectionFailed(sshFailure(this.#host, this.#stderr, this.#ended, this.#noise))
        await new Promise<void>((resolve) => (this.#wake = resolve))
      }
    } finally {
      signal.removeEventListener('abort', woken)
      this.#wake = undefined
    }
  }

  /** The next line that is ours, as word and rest; what a login shell prints between is skipped. */
  #line(): readonly [string, string] | undefined {
    for (;;) {
      const end = this.#rest.indexOf(0x0a)
      if (end < 0) return undefined
      const text = this.#rest.subarray(0, end).toString('utf8')
      this.#rest = this.#rest.subarray(end + 1)
      const at = text.indexOf(`${this.#nonce} `)
      if (at < 0) {
        this.#noise = text.slice(0, 200).trim() || this.#noise
        continue
      }
      const [word, ...others] = text.slice(at + this.#nonce.length + 1).split(' ')
      return [word!, others.join(' ')]
    }
  }

  #fault(text: string): GangflowError {
    return new GangflowError({
      code: 'E_SSH_HOST_UNFIT',
      what: `host ${this.#host}: ${text}`,
      fix: 'make room there, or name another folder by workdir= in the hosts file',
      host: this.#host,
    })
  }
}

/** Thrown by a session whose connection ended; says whether another attempt makes sense. */
export class ConnectionFailed extends Error {
  constructor(readonly failure: ReturnType<typeof sshFailure>) {
    super(failure.error.message)
  }
}
