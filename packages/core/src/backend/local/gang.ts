import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeRunDirectory } from '../../body/run-directory.js'
import type { Datastore } from '../../datastore/contract.js'
import { openDatastore } from '../../datastore/open.js'
import { encodeBootstrap, encodePrelude } from '../../gang/agent/bootstrap.js'
import type { Allocation, Bootstrap, Prelude } from '../../gang/contract.js'
import type { Keeper } from '../../process/contract.js'
import { certificatesAside } from '../../process/extra-certificates.js'
import { nativeHelper } from '../../process/keeper.js'
import { LocalMember } from './member.js'
import type { LocalMemberPlan, LocalPlan } from './plan.js'

/** What agents of this machine are started with. */
export interface LocalStart {
  readonly keeper: Keeper
  readonly env: Readonly<Record<string, string>>
  readonly apart: string | undefined
}

const unfit: ReadonlySet<string> = new Set(['gone', 'stopped'])

/** One gang's place on this machine: its directories, and the agents in them. */
export class LocalGang {
  readonly #plan: LocalPlan
  readonly #start: LocalStart
  readonly #disk: Datastore
  readonly #env: Readonly<Record<string, string>>
  readonly #directory = makeRunDirectory()
  // Not beside the sockets: XDG_RUNTIME_DIR is in memory, and small.
  readonly #temps = mkdtempSync(join(tmpdir(), 'gangflow-'))
  readonly #members: LocalMember[] = []
  #released: Promise<void> | undefined

  private constructor(plan: LocalPlan, start: LocalStart, disk: Datastore, helper: string | undefined) {
    this.#plan = plan
    this.#start = start
    this.#disk = disk
    // The helper is looked for once, not by each agent.
    this.#env = { ...certificatesAside(start.env), GANGFLOW_KEEPER: helper ?? 'none' }
  }

  static async open(plan: LocalPlan, prelude: Prelude, start: LocalStart): Promise<LocalGang> {
    const [disk, helper] = await Promise.all([openDatastore(start.apart ?? prelude.datastore), nativeHelper()])
    return new LocalGang(plan, start, disk, helper)
  }

  /** Starts an agent for each member; those of a mere prelude wait for their secret. All or none. */
  async begin(told: Prelude | Bootstrap, signal?: AbortSignal): Promise<void> {
    const started = await Promise.allSettled(this.#plan.members.map((member) => this.#startOne(member, told, signal)))
    const failed = started.find((one) => one.status === 'rejected')
    if (!failed) return
    await this.release()
    throw failed.reason
  }

  /** Lets agents that wait begin; false when one of them is no more. */
  tell(bootstrap: Bootstrap): boolean {
    if (this.#members.some((member) => unfit.has(member.look().state))) return false
    for (const member of this.#members) member.tell(bootstrap)
    return true
  }

  allocation(bootstrap: Bootstrap): Allocation {
    return {
      members: [...this.#members],
      release: () => this.release(),
      // One machine has a place for as many as it had before.
      replace: (lost, as, signal) => this.#startOne({ ...(lost as LocalMember).plan, memberId: as }, bootstrap, signal),
    }
  }

  release(): Promise<void> {
    this.#released ??= this.#release()
    return this.#released
  }

  async #release(): Promise<void> {
    await Promise.all(this.#members.map((member) => member.reap()))
    for (const folder of [this.#directory, this.#temps]) rmSync(folder, { recursive: true, force: true })
    await this.#disk.close()
  }

  /** The same, and what they have printed: nobody was to hear it. */
  async discard(): Promise<void> {
    const spools = await Promise.all(this.#members.map((member) => member.spools()))
    await this.release()
    for (const folder of spools) rmSync(folder, { recursive: true, force: true })
  }

  async #startOne(plan: LocalMemberPlan, told: Prelude | Bootstrap, signal?: AbortSignal): Promise<LocalMember> {
    signal?.throwIfAborted()
    const { keeper, env, apart } = this.#start
    const { flow, run, step, task, attempt } = told.address
    const home = join(this.#directory, plan.memberId)
    mkdirSync(home, { mode: 0o700 })
    const spool = this.#disk.scratch('spool', flow, run, step, task, String(attempt), plan.memberId)
    const temp = join(this.#temps, plan.memberId)
    const cache = apart === undefined ? {} : { cache: join(apart, 'cache') }
    const own = { ...plan, directory: home, temp, spool, ...cache }
    const whole = 'secret' in told
    const agent = await keeper.spawn({
      name: 'agent',
      // Its compiled form is kept there.
      argv: [...this.#plan.argv, this.#disk.scratch('code')],
      env: this.#env,
      cwd: '/',
      stdin: whole ? encodeBootstrap(told, own) : 'pipe',
      spool,
      // It notices the launcher's end itself, ends what it runs, writes the verdict.
      onOwnerGone: { lingerMs: told.timeouts.linger },
      strays: 'end',
    })
    const started = new LocalMember(plan, agent, { keeper, env, home, temp, spool })
    this.#members.push(started)
    if (!whole) agent.write(encodePrelude(told, own)).catch(() => {})
    return started
  }
}
