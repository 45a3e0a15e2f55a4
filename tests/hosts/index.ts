// N hosts on one machine, out of namespaces: each with its own address, name, files and OpenSSH server.

import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { HostsOptions } from './plan.js'
import { lives } from './processes.js'
import { must, type Ran, type RunOptions, run } from './run.js'
import { type HostState, livingSets, type SetState } from './state.js'
import { startSet } from './up.js'

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
}

/** A set of test hosts that lives. */
export class TestHosts {
  readonly hosts: readonly TestHost[]

  constructor(readonly state: SetState) {
    this.hosts = state.hosts.map((host) => new TestHost(host, state))
  }

  /** ssh_config of the launcher's side: `ssh -F CONFIG host1`. Key and known_hosts lie beside it. */
  get config(): string {
    return join(this.state.folder, 'ssh_config')
  }
  get names(): readonly string[] {
    return this.hosts.map(({ name }) => name)
  }
  /** The unprivileged user of the hosts. */
  get user(): string {
    return this.state.user
  }

  host(name: string): TestHost {
    const found = this.hosts.find((host) => host.name === name)
    if (found === undefined) throw new Error(`there is no test host ${name}\n  fix: one of ${this.names.join(', ')}`)
    return found
  }

  /** Runs a command on a host through OpenSSH, as a person would. */
  ssh(name: string, command: string, options: RunOptions = {}): Promise<Ran> {
    return run(['ssh', '-F', this.config, name, command], options)
  }

  /** Ends every process of every host and removes all that was made; resolves when nothing is left. */
  async down(): Promise<void> {
    const { init, folder, machine } = this.state
    if (lives(init)) process.kill(init.pid, 'SIGKILL')
    for (const deadline = performance.now() + 30_000; ; await sleep(5)) {
      if (!lives(init) && !existsSync(`/sys/class/net/${machine.link}`)) break
      if (performance.now() > deadline)
        throw new Error(`${this.state.id} is still there 30 s after its end: process ${init.pid}, link ${machine.link}`)
    }
    rmSync(folder, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down()
  }
}

/** Starts test hosts that live as long as this process at most. `await hosts.down()` ends them before. */
export async function startHosts(options: HostsOptions | number): Promise<TestHosts> {
  return new TestHosts(await startSet(typeof options === 'number' ? { count: options } : options))
}

/** The sets of this user that live on this machine. */
export const livingHosts = (): TestHosts[] => livingSets().map((state) => new TestHosts(state))
