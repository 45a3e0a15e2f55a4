import { rmSync } from 'node:fs'
import { deferred } from '../../body/deferred.js'
import type { Datastore } from '../../datastore/contract.js'
import { GangflowError } from '../../errors/base.js'
import type { Json } from '../../flow/values.js'
import type { Account, FormOrder, ProbeOrder, StopOrder, Work } from '../protocol.js'
import type { Base } from './base.js'
import type { AgentBootstrap } from './bootstrap.js'
import { bringRoster } from './bring-roster.js'
import { closeMember } from './close.js'
import { type AgentTools, comeUp } from './come-up.js'
import { Delivery, failureOfDelivery } from './delivery.js'
import { Ending, endEpoch } from './ending.js'
import { failureOfAgent, failureOfSignal } from './failures.js'
import { form } from './form.js'
import { writeOrphanVerdict } from './orphan.js'
import { OwnerLink } from './owner-link.js'
import { probePeers } from './probe-peers.js'
import { Reports } from './reports.js'
import { MemberState, type Parts } from './state.js'
import { type Loss, Vigil } from './vigil.js'

/** One member's agent from its bootstrap to its end; settles with the exit code. */
export async function runMember(boot: AgentBootstrap, tools: AgentTools, base: Base): Promise<number> {
  const member = new MemberAgent(boot, tools)
  process.on('SIGTERM', () => member.asked('SIGTERM'))
  // Ctrl-C reaches the launcher alone; agents have sessions of their own, and this is for a careless parent.
  process.on('SIGINT', () => {})
  const fault = (error: unknown) => member.fault(error)
  process.on('uncaughtException', fault)
  process.on('unhandledRejection', fault)
  return member.run(base)
}

/** What happens to a member, and which of its parts takes care of that. */
class MemberAgent {
  readonly #state: MemberState
  readonly #tools: AgentTools
  readonly #owner: OwnerLink
  readonly #reports: Reports
  #ending: Ending
  /** Ends of epochs by the round of losses that they came after: an order may come twice, and an epoch may come to nothing. */
  readonly #renewals = new Map<number, Promise<string[]>>()
  readonly #vigil: Vigil
  readonly #delivery = new Delivery()
  readonly #ready = deferred<Parts>()
  readonly #exit = deferred<number>()

  constructor(boot: AgentBootstrap, tools: AgentTools) {
    this.#state = new MemberState(boot)
    this.#tools = tools
    this.#owner = new OwnerLink({
      transport: tools.transport,
      rendezvous: this.#state.rendezvous,
      key: this.#state.key,
      memberId: boot.member.memberId,
      startMs: boot.timeouts.join,
      leaseMs: boot.timeouts.lease,
      methods: {
        form: (order, packed) => this.#form(order as unknown as FormOrder, packed),
        probe: async (params) => (await probePeers(tools.mesh(), params as unknown as ProbeOrder)) as unknown as Json,
        delivered: async () => (await this.#delivery.told()) as unknown as Json,
        stop: async (params) => (await this.#halt(params as unknown as StopOrder)) as unknown as Json,
        renew: async (params) => {
          const { epoch, round } = params as { epoch: number; round: number }
          return (await this.#renew(epoch, round)) as unknown as Json
        },
        finish: async () => (await this.#ending.finish()) as unknown as Json,
        // Goes after what was said has been sent.
        leave: () => void setTimeout(() => void this.#close(0), 10),
        // Somebody at the owner's wants to look around here.
        ssh: async () => (await this.#ready.promise).shell.address(),
        commit: (params) => {
          const { epoch, key, value } = params as { epoch: number; key: string; value: Json }
          if (epoch !== this.#state.seen) throw staleOrder(epoch, this.#state.seen)
          return this.#state.parts.datastore!.createRecord(key, value)
        },
      },
      heard: () => this.#state.formed?.pulses.pass(),
      askedFor: () => this.#vigil.asked(),
      lost: (why, ownerLives) => void this.#orphaned({ kind: 'owner', why: `the launcher ${why}`, ownerLives }),
    })
    this.#vigil = new Vigil({
      owner: this.#owner,
      leaseMs: boot.timeouts.lease,
      launcherMs: boot.timeouts.launcher,
      joinMs: boot.timeouts.join,
      // On one machine nobody is cut off: who says nothing is stopped, or wants for a processor.
      patience: boot.transport === 'unix' ? 2 : 1,
      pulses: () => this.#state.formed?.pulses,
      failure: () => this.#state.failure,
      lost: (loss) => void this.#orphaned(loss),
    })
    this.#reports = new Reports(this.#state, this.#owner)
    this.#ending = new Ending(this.#state)
  }

  async run(base: Base): Promise<number> {
    const parts = await comeUp(this.#state, this.#tools, base, this.#owner, this.#reports)
    void this.#getReady(parts)
    return this.#exit.promise
  }

  /** The code comes while the others join, then the body: it gets its task when the epoch opens. */
  async #getReady(parts: Parts): Promise<void> {
    const { boot, stop, place } = this.#state
    try {
      const flow = await this.#delivery.bring(parts.work, parts.datastore, boot.member.cache, stop.signal)
      this.#state.flow = flow
      if (parts.work.needs.body !== 'control') parts.host.prepare({ compiled: flow, env: this.#state.env })
      this.#ready.resolve(parts)
    } catch (error) {
      if (!stop.signal.aborted) this.#reports.fail(failureOfDelivery(error, place), 0)
    }
  }

  /** Somebody wants this process to end: the owner is told, and ends the gang; without it the member ends itself. */
  asked(signal: NodeJS.Signals): void {
    const { closing, stopping, place, boot } = this.#state
    if (closing || stopping) return
    this.#reports.fail(failureOfSignal(signal, place), 0)
    setTimeout(() => {
      if (!this.#state.stopping)
        void this.#orphaned({ kind: 'owner', why: `the agent got ${signal} and the launcher said nothing` })
    }, boot.timeouts.lease)
  }

  /** Something in the agent itself threw: said once, then the member ends. */
  fault(error: unknown): void {
    process.stderr.write(`gangflow agent: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`)
    if (this.#state.closing) return
    this.#reports.fail(failureOfAgent(error, this.#state.place), 0)
    if (!this.#state.formed) void this.#owner.flushed().then(() => this.#exit.resolve(70))
  }

  /** The order may come together with the answer to `join`, and twice. */
  async #form(order: FormOrder, packed: Uint8Array): Promise<void> {
    const { boot, key } = this.#state
    const { transport } = this.#tools
    const { lease, join } = boot.timeouts
    const [parts, brought] = await Promise.all([
      this.#ready.promise,
      bringRoster(order, packed, {
        transport,
        key,
        memberId: boot.member.memberId,
        leaseMs: lease,
        ask: (epoch) => this.#owner.payload('roster', { epoch }, join),
      }),
    ])
    const { epoch } = brought.formation
    if (epoch < this.#state.seen) throw staleOrder(epoch, this.#state.seen)
    if (this.#state.formed || this.#state.stopping) return
    this.#owner.epoch = epoch
    form(this.#state, parts, transport, brought, this.#reports, {
      ownerAgeMs: () => performance.now() - this.#owner.aliveAt,
      claimed: (at) => {
        this.#owner.claimedAt = Math.max(this.#owner.claimedAt, at)
      },
      look: () => this.#vigil.look(),
      stop: (stop) => void this.#halt(stop).then((account) => this.#owner.tell('account', account as unknown as Json)),
    })
  }

  /** By the owner's order or by one that came down the tree: who is below need not wait for the owner. */
  #halt(order: StopOrder): Promise<Account> {
    const { formed, stopping } = this.#state
    if (!stopping && formed?.formation.fanOut !== undefined) formed.pulses.stop(order)
    return this.#ending.halt(order)
  }

  /** Others were lost and this member goes on in the next epoch: what runs here ends, and nothing of it is seen there. */
  #renew(epoch: number, round: number): Promise<string[]> {
    const known = this.#renewals.get(round)
    if (known) return known
    if (epoch < this.#state.seen) throw staleOrder(epoch, this.#state.seen)
    const renewal = (async () => {
      const graceMs = this.#state.boot.timeouts.stopGrace
      await this.#ending.halt({ why: `epoch ${epoch} is over`, cause: 'infrastructure', graceMs })
      const complaints = await endEpoch(this.#state)
      this.#ending = new Ending(this.#state)
      const { parts } = this.#state
      // Its code had not come when it was stopped.
      if (parts.work && this.#state.flow === undefined) void this.#getReady(parts as Parts)
      return complaints
    })()
    this.#renewals.set(round, renewal)
    return renewal
  }

  async #close(code: number): Promise<void> {
    this.#vigil.close()
    await closeMember(this.#state, this.#owner)
    this.#exit.resolve(code)
  }

  async #accountFor(loss: Loss, datastore: Datastore): Promise<void> {
    const { boot, parts, place, formed, seen } = this.#state
    const { timeouts, address } = boot
    const { why } = loss
    const { stopped } = await this.#ending.halt({ why, cause: 'infrastructure', graceMs: timeouts.stopGrace })
    await writeOrphanVerdict(datastore, {
      address,
      place,
      loss,
      roster: formed?.formation.roster,
      stopped,
      leaseMs: timeouts.lease,
      epoch: seen,
      elastic: isElastic(parts.work),
    })
  }

  /** The gang is lost to this member: everything here ends, and the lowest living one writes the account (D4). */
  async #orphaned(loss: Loss): Promise<void> {
    const { boot, parts, formed, closing } = this.#state
    if (this.#state.last) return
    this.#state.last = true
    this.#vigil.close()
    this.#owner.close()
    // One that was told that all is over has nothing more to say, and is not going to be told to leave.
    if (!closing) formed?.pulses.leave(loss)
    // What only a dead owner could take waits for nobody: it stays in its spool. A living one may yet be reached.
    if (!loss.ownerLives) parts.datastore?.abandon?.(loss.why)
    if (!parts.keeper || !parts.datastore) return this.#exit.resolve(1)
    const { timeouts, member } = boot
    if (!closing) await this.#accountFor(loss, parts.datastore)
    const late = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), timeouts.linger))
    const account = await Promise.race([this.#ending.finish(), late])
    // Nobody comes after it to clean up; a log that could not be stored stays where it can be found.
    if (account?.complaints.length === 0) rmSync(member.spool, { recursive: true, force: true })
    // It waits for a launcher that this host may not hear for long; other agents here have their linger.
    // Given up by an owner that can tell it so, it leaves the host to those that took its place.
    const dismissed = loss.kind === 'owner' && loss.ownerLives === true
    if (member.endsKeeper && !dismissed) process.kill(process.ppid, 'SIGTERM')
    await this.#close(1)
  }
}

/** An order for an epoch below the highest that this member has seen. */
const staleOrder = (epoch: number, seen: number): GangflowError =>
  new GangflowError({
    code: 'E_GANG_EPOCH',
    what: `an order for epoch ${epoch} was refused: epoch ${seen} is current`,
    fix: 'it belongs to an earlier formation of this gang and ends by itself',
  })

/** Whether others may go on without this member. */
function isElastic(work: Work | undefined): boolean {
  const { description, address } = work?.assignment ?? {}
  const gang = description?.steps.find(({ name }) => name === address?.step)?.gang
  return gang?.minNodes !== undefined || gang?.maxRestarts !== undefined
}
