import { spawn } from 'node:child_process'
import type { HostSpec } from './hosts.js'
import { type SshWay, sshArgv } from './ssh-argv.js'

/** Logins that are tried, and milliseconds before the second: sshd may be busy. */
const TRIES = 3
const PAUSE_MS = 300
/** Milliseconds for the other side to end by itself. */
const CLOSE_MS = 1_000
/** Characters in which its word is looked for. */
const SAID = 64 << 10

export interface AsideOptions {
  readonly spec: HostSpec
  readonly way: SshWay
  /** Socket of this machine that is forwarded. */
  readonly here: string
  /** Path on the host, without its end: each connection makes a socket of its own there. */
  readonly there: string
}

/** One more SSH connection to a host, which forwards and does nothing else: what is large does not delay leases there. */
export class Aside {
  readonly #options: AsideOptions
  #current: Promise<string | undefined> | undefined
  #made = 0
  #end = () => {}
  #closed = false

  constructor(options: AsideOptions) {
    this.#options = options
  }

  /** The socket's path on the host; undefined when no connection was to be had. */
  socket(): Promise<string | undefined> {
    this.#current ??= this.#open()
    return this.#current
  }

  close(): void {
    this.#closed = true
    this.#end()
  }

  async #open(): Promise<string | undefined> {
    for (let tries = 1; !this.#closed; tries += 1) {
      const made = await this.#once()
      if (made !== undefined || tries === TRIES) return made
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * tries * (0.5 + Math.random())))
    }
    return undefined
  }

  #once(): Promise<string | undefined> {
    const { spec, way, here, there } = this.#options
    this.#made += 1
    const socket = `${there}-${this.#made}.sock`
    // Forwards are asked for before the command: once that speaks, there is the socket, or there is none.
    const word = `forwarded-${this.#made}`
    const script = `trap "rm -f ${socket}" EXIT; trap "exit 143" HUP TERM PIPE; [ -S ${socket} ] || exit 1; echo ${word}; cat > /dev/null`
    const argv = sshArgv(spec, way, { command: ['sh', '-c', script], forward: { there: socket, here } })
    const child = spawn(argv[0]!, argv.slice(1), { stdio: ['pipe', 'pipe', 'ignore'], detached: true })
    child.stdin.on('error', () => {})
    this.#end = () => {
      child.stdin.end()
      if (child.exitCode !== null || child.signalCode !== null) return
      const late = setTimeout(() => child.kill('SIGTERM'), CLOSE_MS)
      child.once('exit', () => clearTimeout(late))
    }
    return new Promise((resolve) => {
      let said = ''
      child.stdout.on('data', (chunk: Buffer) => {
        if (said.length < SAID) said += chunk.toString('latin1')
        // A login shell may print what it likes before.
        if (!said.split('\n').includes(word)) return
        child.once('close', () => {
          this.#current = undefined
        })
        resolve(socket)
      })
      child.once('error', () => resolve(undefined))
      child.once('close', () => resolve(undefined))
    })
  }
}
