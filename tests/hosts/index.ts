// N hosts on one machine, out of namespaces: each with its own address, name, files and OpenSSH server.

import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { changeLinks } from './faults.js'
import { TestHost } from './host.js'
import { type HostsOptions, hostsFile } from './plan.js'
import { lives } from './processes.js'
import { type Ran, type RunOptions, run } from './run.js'
import { livingSets, type SetState } from './state.js'
import { startSet } from './up.js'

export type { HostsOptions, TestHost }

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
  /** What a process needs in its environment to reach hosts that have no sshd: an `ssh` that enters them. */
  get env(): Record<string, string> {
    const bin = join(this.state.folder, 'bin')
    return this.state.sshd ? {} : { PATH: `${bin}:${process.env['PATH']}` }
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

  /** No host of one group hears one of the other; `launcher` is this machine. Adds to what is apart already. */
  async partition(one: readonly string[], other: readonly string[]): Promise<void> {
    const known = new Set([...this.names, 'launcher'])
    for (const name of [...one, ...other])
      if (!known.has(name)) throw new Error(`there is no test host ${name}\n  fix: one of ${[...known].join(', ')}`)
    // A cable that drops the frames is enough on one side; the launcher has none.
    const [near, far] = one.includes('launcher') ? [other, one] : [one, other]
    await changeLinks(this.state, (host, now) =>
      near.includes(host) ? { ...now, apart: [...new Set([...(now.apart ?? []), ...far])] } : now,
    )
  }

  /** Takes every fault off every cable. */
  async heal(): Promise<void> {
    await changeLinks(this.state, () => ({}))
  }

  /** No host finds these names any more (its own neither); an empty list brings all back. */
  async forget(names: readonly string[]): Promise<void> {
    const input = hostsFile(this.state, names)
    await Promise.all(
      this.hosts.filter(({ alive }) => alive).map((host) => host.must(['sh', '-c', 'cat > /etc/hosts'], { input })),
    )
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
    rmSync(folder, { recursive: true, force: true, maxRetries: 10 })
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
