import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import type { Connection, Listener, Transport } from '../../packages/core/src/gang/contract.js'
import { keepDoor } from '../../packages/core/src/gang/doorkeeper.js'
import { OwnedMember } from '../../packages/core/src/gang/owner/members.js'
import { refusal } from '../../packages/core/src/gang/owner/rendezvous.js'
import type { Rendezvous } from '../../packages/core/src/gang/rendezvous/contract.js'
import { meet } from '../../packages/core/src/gang/rendezvous/meet.js'

/** One attempt's place to meet, and how a process of the gang takes part. */
export interface Place {
  /** As one process sees it. */
  rendezvous(): Promise<Rendezvous>
  /** Listens as the `n`-th that would take the members in, where the form lets it. */
  listen(n: number): Promise<Listener>
  transport(member: string): Transport
  readonly key: Uint8Array
  close(): Promise<void>
}

/** What every form of the rendezvous must hold, over real connections. `heir`: another may come in the place of a dead one. */
export function rendezvousConformance(
  kind: Rendezvous['kind'],
  make: () => Promise<Place>,
  { heir }: { readonly heir: boolean },
): void {
  describe(`rendezvous ${kind}`, () => {
    const open: Place[] = []
    afterEach(async () => {
      for (const place of open.splice(0)) await place.close()
    })
    const fresh = async () => {
      const place = await make()
      open.push(place)
      return place
    }
    /** Takes in `m1` to `m3` at a listener; the epoch may be changed. */
    const takeIn = (place: Place, listener: Listener, epoch = { now: 0 }) => {
      const members = new Map(
        ['m1', 'm2', 'm3'].map((memberId) => [
          memberId,
          new OwnedMember({ memberId, host: 'here', agentExited: new Promise(() => {}), reap: async () => {} }),
        ]),
      )
      const came: string[] = []
      void keepDoor(listener, {
        key: place.key,
        admit: (hello) => refusal({ members, epoch: () => epoch.now, store: undefined }, hello),
        enter: ({ member }, { stream }) => {
          members.get(member)!.lease = { isClosed: false } as never
          came.push(member)
          stream.once('close', () => {
            members.get(member)!.lease = undefined
          })
          stream.resume()
        },
      })
      return { came, epoch }
    }
    const join = async (
      place: Place,
      member: string,
      more: { readonly epoch?: number; readonly key?: Uint8Array; readonly ms?: number } = {},
    ): Promise<Connection> =>
      meet(await place.rendezvous(), place.transport(member), {
        key: more.key ?? place.key,
        hello: { member, purpose: 'lease', epoch: more.epoch ?? 0 },
        signal: AbortSignal.timeout(more.ms ?? 20_000),
      })
    const refused = (joining: Promise<Connection>) =>
      joining.then(
        () => 'was let in',
        (error: { code: string; fix?: string }) => (error.fix ? error.code : `${error.code} without a fix`),
      )

    it('brings members to who takes them in, those too that come before it', async () => {
      const place = await fresh()
      const early = join(place, 'm2')
      await sleep(200)
      const listener = await place.listen(0)
      expect(await (await place.rendezvous()).host(listener.address)).toBeUndefined()
      const { came } = takeIn(place, listener)
      await Promise.all([early, join(place, 'm1'), join(place, 'm3')])
      expect(came.sort()).toEqual(['m1', 'm2', 'm3'])
    })

    it('is hosted by one: another that would is told by whom', async () => {
      const place = await fresh()
      const listener = await place.listen(0)
      await (await place.rendezvous()).host(listener.address)
      expect(await (await place.rendezvous()).host('ssh://other@127.0.0.9:9')).toContain(
        (await (await place.rendezvous()).find({ signal: AbortSignal.timeout(5_000) })).slice(0, 12),
      )
      // Who is it already stays it.
      expect(await (await place.rendezvous()).host(listener.address)).toBeUndefined()
    })

    it('refuses with a reason who is late, twice, a stranger, of another epoch, or without the secret', async () => {
      const place = await fresh()
      const listener = await place.listen(0)
      await (await place.rendezvous()).host(listener.address)
      const { epoch } = takeIn(place, listener)
      await join(place, 'm1')
      expect(await refused(join(place, 'm1'))).toBe('E_GANG_DUPLICATE')
      expect(await refused(join(place, 'm9'))).toBe('E_GANG_STRANGER')
      expect(await refused(join(place, 'm2', { key: new Uint8Array(32) }))).toBe('E_GANG_SECRET')
      expect(await refused(join(place, 'm2', { epoch: 3 }))).toBe('E_GANG_EPOCH')
      epoch.now = 1
      expect(await refused(join(place, 'm2'))).toBe('E_GANG_LATE')
      expect(await refused(join(place, 'm3', { epoch: 2 }))).toBe('E_GANG_EPOCH')
    })

    it('gives up at the deadline when nobody takes anybody in', async () => {
      const place = await fresh()
      await expect(join(place, 'm1', { ms: 700 })).rejects.toThrowError()
    })

    if (heir) {
      it('leads to the next one when the first has died', async () => {
        const place = await fresh()
        const [first, second] = [await place.listen(0), await place.listen(1)]
        await (await place.rendezvous()).host(first.address)
        await first.close()
        const waiting = join(place, 'm1')
        await sleep(200)
        expect(await (await place.rendezvous()).host(second.address, first.address)).toBeUndefined()
        const { came } = takeIn(place, second)
        await waiting
        expect(came).toEqual(['m1'])
      })
    }
  })
}
