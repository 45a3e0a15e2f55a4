import { describe, expect, it } from 'vitest'
import { type ArbiterOptions, openArbiter } from '../../packages/core/src/gang/arbiter/arbiter.js'
import type { Arbiter, Opening, Succession } from '../../packages/core/src/gang/arbiter/contract.js'

/** One gang whose epochs are decided in one way; every contender sees it from its own place. */
export interface World {
  /** How the contender `me` has versions decided. */
  succession(me: string): Succession
  readonly expired?: (me: string) => NonNullable<ArbiterOptions['expired']>
}

/** What every form of the arbiter must hold. Gangs of five members, `m1` to `m4` and `m10`, that need three. */
export function arbiterConformance(kind: Arbiter['kind'], make: () => Promise<World>): void {
  const members = ['m10', 'm4', 'm3', 'm2', 'm1']
  const without = (...lost: string[]) => members.filter((id) => !lost.includes(id))
  const arbiterIn = (world: World, me: string, succession = world.succession(me)) =>
    openArbiter({
      kind,
      succession,
      me,
      minNodes: 3,
      size: 5,
      ...(world.expired ? { expired: world.expired(me) } : {}),
    })
  const settled = async <T>(acts: Promise<T>[]) => {
    const all = await Promise.allSettled(acts)
    return {
      won: all.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])),
      codes: all.flatMap((one) => (one.status === 'rejected' ? [(one.reason as { code: string }).code] : [])),
    }
  }

  describe(`arbiter ${kind}`, () => {
    it('opens the first epoch with the lowest member id as its control, in order of their numbers', async () => {
      const arbiter = arbiterIn(await make(), 'm1')
      expect(await arbiter.head()).toBeUndefined()
      const opened = await arbiter.open({ after: 0, living: members, hosts: { m1: 'a', m10: 'b' } })
      expect(opened).toMatchObject({ kind: 'open', epoch: 1, restart: 0, control: 'm1', by: 'm1' })
      expect(opened.members).toEqual(['m1', 'm2', 'm3', 'm4', 'm10'])
      expect(opened.hosts).toEqual(['a', '', '', '', 'b'])
      expect(await arbiter.head()).toEqual(opened)
    })

    it('keeps the order of survivors, and gives a replacement the free place', async () => {
      const arbiter = arbiterIn(await make(), 'm1')
      await arbiter.open({ after: 0, living: members })
      const lost = [{ summary: 'node 2 was lost', casualty: { kind: 'agent', node: 2 } as const }]
      const second = await arbiter.open({ after: 1, living: [...without('m3'), 'm3.1'], lost })
      expect(second).toMatchObject({ epoch: 2, members: ['m1', 'm2', 'm3.1', 'm4', 'm10'], lost })
      const third = await arbiter.open({ after: 2, living: ['m10', 'm2', 'm4'] })
      expect(third).toMatchObject({ epoch: 3, control: 'm2', members: ['m2', 'm4', 'm10'] })
    })

    it('is found by another with what was decided', async () => {
      const world = await make()
      const opened = await arbiterIn(world, 'm1').open({ after: 0, living: members })
      expect(await arbiterIn(world, 'm2').head()).toEqual(opened)
    })

    it('refuses what speaks of another epoch than the current one, and a falling restart count', async () => {
      const world = await make()
      const arbiter = arbiterIn(world, 'm1')
      await expect(arbiter.open({ after: 1, living: members })).rejects.toMatchObject({ code: 'E_GANG_FENCED' })
      await arbiter.open({ after: 0, living: members, restart: 2 })
      await expect(arbiter.open({ after: 0, living: members })).rejects.toMatchObject({ code: 'E_GANG_FENCED' })
      await expect(arbiter.end(0, undefined)).rejects.toMatchObject({ code: 'E_GANG_FENCED' })
      await expect(arbiter.open({ after: 1, living: members, restart: 1 })).rejects.toMatchObject({
        code: 'E_GANG_FENCED',
      })
      expect(await arbiter.open({ after: 1, living: members, restart: 3 })).toMatchObject({ epoch: 2, restart: 3 })
    })

    it('refuses fewer members than the gang needs', async () => {
      const arbiter = arbiterIn(await make(), 'm1')
      await arbiter.open({ after: 0, living: members })
      await expect(arbiter.open({ after: 1, living: ['m1', 'm2'] })).rejects.toMatchObject({
        code: 'E_GANG_MIN_LIVING',
      })
    })

    it('lets one of many win who want to follow the same epoch', async () => {
      const world = await make()
      await arbiterIn(world, 'm1').open({ after: 0, living: members })
      const { won, codes } = await settled(
        without('m1').map((me) => arbiterIn(world, me).open({ after: 1, living: without('m1') })),
      )
      expect(won).toHaveLength(1)
      expect(codes).toEqual(['E_GANG_FENCED', 'E_GANG_FENCED', 'E_GANG_FENCED'])
      expect(((await arbiterIn(world, 'm1').head()) as Opening).by).toBe(won[0]!.by)
    })

    it('lets either an end or a new epoch follow, and nothing follow an end', async () => {
      const world = await make()
      const [one, two] = [arbiterIn(world, 'm1'), arbiterIn(world, 'm2')]
      await one.open({ after: 0, living: members })
      const { won, codes } = await settled<unknown>([
        one.end(1, { key: 'done', value: 1 }),
        two.open({ after: 1, living: without('m1') }),
      ])
      expect(won).toHaveLength(1)
      expect(codes).toEqual(['E_GANG_FENCED'])
      const head = (await one.head())!
      if (head.kind === 'open') await two.end(2, undefined)
      const last = (await one.head())!
      expect(last.kind).toBe('end')
      await expect(two.open({ after: last.epoch, living: members })).rejects.toMatchObject({ code: 'E_GANG_FENCED' })
    })

    it('makes the act of an old control nothing, which pauses between its check and its write', async () => {
      const world = await make()
      let woken = () => {}
      let reached = () => {}
      const writing = new Promise<void>((resolve) => {
        reached = resolve
      })
      const asleep = new Promise<void>((resolve) => {
        woken = resolve
      })
      const inner = world.succession('m1')
      let pausing = false
      const old = arbiterIn(world, 'm1', {
        read: (version) => inner.read(version),
        async decide(version, head) {
          if (pausing) {
            reached()
            await asleep
          }
          return inner.decide(version, head)
        },
      })
      await old.open({ after: 0, living: members })
      pausing = true
      const act = old.end(1, { key: 'done', value: 'of the old control' })
      const refused = expect(act).rejects.toMatchObject({ code: 'E_GANG_FENCED' })
      await writing
      const next = await arbiterIn(world, 'm2').open({ after: 1, living: without('m1') })
      woken()
      await refused
      expect(await arbiterIn(world, 'm3').head()).toEqual(next)
      // Nor does what it tries next.
      await expect(old.open({ after: 1, living: members })).rejects.toMatchObject({ code: 'E_GANG_FENCED' })
    })
  })
}
