import { setTimeout as sleep } from 'node:timers/promises'
import { changeLinks, faketimeLibrary } from './faults.js'
import type { Impairment, LinkFaults } from './link.js'
import { lives } from './processes.js'
import { must, type Ran, type RunOptions, run } from './run.js'
import type { HostState, SetState } from './state.js'

export interface ExecOptions extends RunOptions {
  /** Who runs it; default root. Both work without any network. */
  readonly as?: 'root' | 'user'
}

/** One test host. */
export class TestHost {
  constructor(
    readonly state: HostState,
    private readonly set: SetState,
  ) {}

  get name(): string {
    return this.state.name
  }
  get address(): string {
    return this.state.address
  }

  /** The command line of this machine that runs `argv` on the host, past its network and its sshd. */
  enter(argv: readonly string[], as: 'root' | 'user' = 'root'): string[] {
    const { user, uid } = this.set
    const home = as === 'root' ? '/root' : `/home/${user}`
    const who = as === 'root' ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups']
    const env = [
      'env',
      '-i',
      `--chdir=${home}`,
      `HOME=${home}`,
      `USER=${as === 'root' ? 'root' : user}`,
      `TERM=${process.env['TERM'] ?? 'dumb'}`,
    ]
    const path = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
    const pid = String(this.state.init.pid)
    return ['nsenter', '-t', pid, '-m', '-n', '-p', '-u', '-i', ...who, ...env, path, ...argv]
  }

  /** Runs a command on the host and gives its end, whatever it is. */
  exec(argv: readonly string[], { as, ...options }: ExecOptions = {}): Promise<Ran> {
    return run(this.enter(argv, as), options)
  }

  /** Runs a command on the host that must succeed; gives its output. */
  must(argv: readonly string[], { as, ...options }: ExecOptions = {}): Promise<string> {
    return must(this.enter(argv, as), options)
  }

  get alive(): boolean {
    return lives(this.state.init)
  }

  /** Pulls the cable, or puts it back. */
  async cable(state: 'down' | 'up'): Promise<void> {
    await this.link((now) => ({ ...now, down: state === 'down' }))
  }

  /**
   * Makes the cable bad, in one direction (`out` is from the host) or both; replaces what was said of these directions.
   * `{ loss: 1 }` drops all; `{}` makes it good again. The same host loses the same frames in each run.
   */
  async impair(how: Impairment, direction: 'in' | 'out' | 'both' = 'both'): Promise<void> {
    await this.link((now) => ({
      ...now,
      ...(direction === 'in' ? {} : { out: how }),
      ...(direction === 'out' ? {} : { in: how }),
    }))
  }

  /** Takes all faults off the cable. */
  async heal(): Promise<void> {
    await this.link(() => ({}))
  }

  private async link(change: (now: LinkFaults) => LinkFaults): Promise<void> {
    await changeLinks(this.set, (host, now) => (host === this.name ? change(now) : now))
  }

  /** Leaves `room` KiB free on the host's disk (home, /tmp, /var), or on another of its file systems (`/dev/shm`). */
  async fillDisk(room = 0, path = '/'): Promise<void> {
    const used = (await this.must(['df', '-k', '--output=used', path])).trim().split('\n').at(-1)!
    // A size of nothing would mean no limit.
    await this.must(['mount', '-o', `remount,size=${Math.max(Number(used) + room, 4)}k`, path])
  }

  /** Gives the disk its size again. */
  async freeDisk(path = '/'): Promise<void> {
    const size = path === '/dev/shm' ? this.set.shm : this.set.disk
    await this.must(['mount', '-o', `remount,size=${size}m`, path])
  }

  /**
   * Shifts the wall clock of what starts over ssh from now on by seconds; 0 ends it. A later shift reaches those that were
   * started under an earlier one within a second. Monotonic clocks stay true.
   */
  async shiftClock(seconds: number): Promise<void> {
    const environment = [
      `LD_PRELOAD=${faketimeLibrary()}`,
      'FAKETIME_TIMESTAMP_FILE=/run/clock',
      'FAKETIME_CACHE_DURATION=1',
      'FAKETIME_DONT_FAKE_MONOTONIC=1',
      '',
    ].join('\n')
    await this.must(['sh', '-c', 'cat > /run/clock'], { input: `${seconds < 0 ? '' : '+'}${seconds}\n` })
    const file = `/home/${this.set.user}/.ssh/environment`
    await this.must(['sh', '-c', `cat > ${file}`], { input: seconds === 0 ? '' : environment })
  }

  /** Another hostname, which nobody can resolve unless it is another host's too. */
  async rename(name: string): Promise<void> {
    await this.must(['sh', '-c', 'hostname "$1" && hostname > /etc/hostname', 'sh', name])
  }

  /** The host's first process is killed, and with it all others: the kernel closes their connections. */
  async kill(): Promise<void> {
    if (this.alive) process.kill(this.state.init.pid, 'SIGKILL')
    for (const deadline = performance.now() + 10_000; this.alive; await sleep(2))
      if (performance.now() > deadline) throw new Error(`${this.name} does not end`)
  }

  /** The power fails: nobody hears anything of the host again. */
  async crash(): Promise<void> {
    await this.cable('down')
    await this.kill()
  }
}
