import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { OwnerLink } from '../../src/gang/agent/owner-link.js'
import type { Pulses } from '../../src/gang/agent/pulses.js'
import { type Loss, Vigil } from '../../src/gang/agent/vigil.js'
import type { Failure } from '../../src/gang/protocol.js'

const LEASE = 500

/** A vigil over an owner that answers each beat as long as `answers` holds. */
function watch(more: { told?: Loss; failure?: Failure; launcherMs?: number; joinMs?: number } = {}) {
  const state = { answers: true }
  const owner = {
    heardAt: performance.now(),
    answered: 0,
    get aliveAt() {
      return this.heardAt
    },
    beat() {
      if (!state.answers) return
      this.heardAt = performance.now()
      this.answered = performance.now()
    },
  }
  const losses: Loss[] = []
  const pulses = { beat() {}, late() {}, upward() {}, forgive() {}, signs: () => [], told: () => more.told }
  const vigil = new Vigil({
    owner: owner as unknown as OwnerLink,
    leaseMs: LEASE,
    launcherMs: more.launcherMs ?? 60_000,
    joinMs: more.joinMs ?? 60_000,
    patience: 1,
    // Before the epoch opens a member knows no neighbours.
    pulses: () => (more.joinMs === undefined ? (pulses as unknown as Pulses) : undefined),
    failure: () => more.failure,
    lost: (loss) => losses.push(loss),
  })
  onTestFinished(() => vigil.close())
  return { state, losses }
}

/** What was lost first; a pause of this machine counts for nobody, so that it may come later than its lease. */
const lost = async (losses: readonly Loss[]): Promise<Loss> => {
  await vi.waitUntil(() => losses.length > 0, { timeout: LEASE * 40 })
  return losses[0]!
}

/** This process does nothing at all, as if it were stopped. */
function stand(ms: number): void {
  for (const until = performance.now() + ms; performance.now() < until; );
}

describe('a member that stood still for longer than its lease', () => {
  it('goes on when the owner answers', async () => {
    const { losses } = watch()
    await sleep(LEASE / 2)
    stand(LEASE * 2)
    await sleep(LEASE * 2)
    expect(losses).toEqual([])
  })

  it('ends when the owner does not, though a paused launcher would be waited for', async () => {
    const { state, losses } = watch()
    await sleep(LEASE / 2)
    state.answers = false
    stand(LEASE * 2)
    expect(await lost(losses)).toMatchObject({
      kind: 'cut-off',
      why: expect.stringMatching(/stood still for 1(\.\d)? s/),
    })
  })
})

describe('a member whose owner says nothing', () => {
  it('waits for it, and ends after its timeout', async () => {
    const { state, losses } = watch({ launcherMs: LEASE * 3 })
    state.answers = false
    await sleep(LEASE * 2)
    expect(losses).toEqual([])
    expect(await lost(losses)).toMatchObject({ kind: 'owner' })
  })

  it('ends what has failed here, with its account', async () => {
    const failure = { casualty: { kind: 'body' }, cause: 'user', weight: 'own' } as const
    const { state, losses } = watch({ failure })
    await sleep(LEASE)
    expect(losses).toEqual([])
    state.answers = false
    expect(await lost(losses)).toMatchObject({ kind: 'failure', failure })
  })

  it('ends as a neighbour says that it does', async () => {
    const told = { kind: 'member', why: 'node 3 was lost', node: 3 } as const
    const { state, losses } = watch({ told })
    state.answers = false
    expect(await lost(losses)).toEqual(told)
  })
})

describe('a member whose epoch has not opened', () => {
  it('waits for a silent launcher as long as a join may take, not as long as for a paused one', async () => {
    const { state, losses } = watch({ joinMs: LEASE * 2 })
    state.answers = false
    await sleep(LEASE * 1.5)
    expect(losses).toEqual([])
    expect(await lost(losses)).toMatchObject({
      kind: 'cut-off',
      why: expect.stringMatching(/waited for the launcher to open/),
    })
  })
})
