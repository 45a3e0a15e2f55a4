import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, describe, expect, it } from 'vitest'
import { openDatastore } from '../../packages/core/src/datastore/open.js'
import { openArbiter, versionOf } from '../../packages/core/src/gang/arbiter/arbiter.js'
import { LocalVoter, majoritySuccession, type Voter } from '../../packages/core/src/gang/arbiter/by-majority.js'
import type { Head, Opening } from '../../packages/core/src/gang/arbiter/contract.js'
import { datastoreSuccession } from '../../packages/core/src/gang/arbiter/in-datastore.js'
import { datastoreLease } from '../../packages/core/src/gang/arbiter/lease.js'
import { slack, sleep } from '../support/gang.js'
import { arbiterConformance } from './arbiter.js'

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})
const directory = () => {
  const folder = mkdtempSync(join(tmpdir(), 'gangflow-arbiter-'))
  folders.push(folder)
  return openDatastore(folder)
}
const address = { flow: 'Gang', run: 'r1', step: 'multi', task: '2', attempt: 0 }
const five = ['m1', 'm2', 'm3', 'm4', 'm10']

/** Voters that reach each other only within their part of a broken network. */
function network(ids: readonly string[], voters = new Map(ids.map((id) => [id, new LocalVoter()]))) {
  let parts: readonly (readonly string[])[] = [ids]
  const reach = (me: string, id: string): Voter => {
    const call = <T>(act: (voter: Voter) => Promise<T>) =>
      parts.some((part) => part.includes(me) && part.includes(id))
        ? act(voters.get(id)!)
        : Promise.reject(new Error('unreachable'))
    return {
      prepare: (...told) => call((voter) => voter.prepare(...told)),
      accept: (...told) => call((voter) => voter.accept(...told)),
      read: (version) => call((voter) => voter.read(version)),
    }
  }
  return {
    break: (...into: readonly (readonly string[])[]) => {
      parts = into
    },
    succession: (me: string) =>
      majoritySuccession({ me, voters: async () => new Map(ids.map((id) => [id, reach(me, id)])) }),
  }
}

arbiterConformance('owner', async () => {
  const store = await directory()
  return { succession: () => datastoreSuccession(store, address) }
})
arbiterConformance('datastore', async () => {
  const store = await directory()
  return {
    succession: () => datastoreSuccession(store, address),
    expired: (me) => {
      const lease = datastoreLease(store, address, { leaseMs: 50, me })
      return (last, signal) => lease.expired(last.epoch, signal)
    },
  }
})
arbiterConformance('majority', async () => network(five))

describe('a network that breaks', () => {
  const four = five.slice(0, 4)
  const halves = [four.slice(0, 2), four.slice(2)] as const
  const both = (succession: (me: string) => ReturnType<ReturnType<typeof network>['succession']>, minNodes: number) =>
    Promise.allSettled(
      halves.map((half) =>
        openArbiter({ kind: 'owner', succession: succession(half[0]!), me: half[0]!, minNodes, size: 4 }).open({
          after: 1,
          living: half,
        }),
      ),
    )

  it('in two halves never has two epochs: the datastore takes one of them', async () => {
    const store = await directory()
    const succession = () => datastoreSuccession(store, address)
    await openArbiter({ kind: 'datastore', succession: succession(), me: 'm1', minNodes: 2, size: 4 }).open({
      after: 0,
      living: four,
    })
    const all = await both(succession, 2)
    expect(all.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
  })

  it('in two halves never has two epochs: among members neither half may', async () => {
    const net = network(four)
    const arbiter = openArbiter({ kind: 'majority', succession: net.succession('m1'), me: 'm1', minNodes: 3, size: 4 })
    await arbiter.open({ after: 0, living: four })
    net.break(...halves)
    // Not even when both are lied to about what they need.
    const all = await both((me) => net.succession(me), 2)
    expect(all.map((one) => (one as PromiseRejectedResult).reason.code)).toEqual(['E_GANG_FENCED', 'E_GANG_FENCED'])
    expect(() =>
      openArbiter({ kind: 'majority', succession: net.succession('m1'), me: 'm1', minNodes: 2, size: 4 }),
    ).toThrowError(expect.objectContaining({ code: 'E_GANG_MIN_HALF' }))
  })

  it('goes on where the majority of the last epoch is, and nowhere else', async () => {
    const net = network(five)
    const of = (me: string) =>
      openArbiter({ kind: 'majority', succession: net.succession(me), me, minNodes: 3, size: 5 })
    await of('m1').open({ after: 0, living: five })
    net.break(['m1', 'm2'], ['m3', 'm4', 'm10'])
    const [small, large] = [of('m1'), of('m3')]
    const opened = await large.open({ after: 1, living: ['m3', 'm4', 'm10'] })
    expect(opened).toMatchObject({ epoch: 2, control: 'm3' })
    await expect(small.end(1, { key: 'done', value: 1 })).rejects.toMatchObject({
      code: expect.stringMatching(/^E_GANG_(?:NO_QUORUM|FENCED)$/),
    })
    net.break(five)
    expect(await of('m1').head()).toEqual(opened)
  })

  it('decides one thing whatever is lost on the way, in 300 seeded runs', async () => {
    let seed = 7
    const random = () => {
      seed = (seed * 1103515245 + 12345) & 0x7fffffff
      return seed / 0x7fffffff
    }
    for (let run = 0; run < 300; run += 1) {
      const voters = new Map(five.map((id) => [id, new LocalVoter()]))
      const lossy = (voter: Voter): Voter => {
        const call = async <T>(act: () => Promise<T>): Promise<T> => {
          if (random() < 0.2) throw new Error('lost')
          await new Promise((resolve) => setImmediate(resolve))
          const answer = await act()
          if (random() < 0.2) throw new Error('its answer was lost')
          return answer
        }
        return {
          prepare: (...told) => call(() => voter.prepare(...told)),
          accept: (...told) => call(() => voter.accept(...told)),
          read: (version) => call(() => voter.read(version)),
        }
      }
      const decided = await Promise.allSettled(
        ['m1', 'm2', 'm3'].map((me) =>
          majoritySuccession({
            me,
            againMs: 0.1,
            voters: async () => new Map([...voters].map(([id, voter]) => [id, lossy(voter)])),
          }).decide(2, { kind: 'open', epoch: 2, id: me } as unknown as Opening),
        ),
      )
      const ids = new Set(decided.flatMap((one) => (one.status === 'fulfilled' ? [(one.value as Head).id] : [])))
      expect(ids.size, `run ${run}`).toBeLessThanOrEqual(1)
    }
  })
})

describe('a process that was the control', () => {
  it('stops between its check and its write, wakes past its lease, and commits nothing', async () => {
    // It renews in time also where the machine is busy.
    const leaseMs = 1_000
    const store = await directory()
    const living = five.slice(0, 4)
    const script = new URL('./fixtures/old-control.ts', import.meta.url).pathname
    const told = JSON.stringify({ location: store.location, address, leaseMs, living })
    const child = spawn(process.execPath, ['--import', 'tsx', script, told], { stdio: ['pipe', 'pipe', 'inherit'] })
    try {
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
      expect((await lines.next()).value).toBe('open')
      const lease = datastoreLease(store, address, { leaseMs, me: 'm2' })
      const next = openArbiter({
        kind: 'datastore',
        succession: datastoreSuccession(store, address),
        me: 'm2',
        minNodes: 2,
        size: 4,
        expired: (last, signal) => lease.expired(last.epoch, signal),
      })
      // While it lives nobody follows it.
      await expect(
        next.open({ after: 1, living: living.slice(1), signal: AbortSignal.timeout(leaseMs * 3) }),
      ).rejects.toThrowError(/abort/i)
      child.stdin.write('end\n')
      const opened = await next.open({ after: 1, living: living.slice(1), signal: AbortSignal.timeout(10_000 * slack) })
      expect(opened).toMatchObject({ epoch: 2, control: 'm2' })
      await sleep(leaseMs)
      child.kill('SIGCONT')
      expect((await lines.next()).value).toBe('E_GANG_FENCED')
      expect(await store.readRecord('flows/Gang/r1/tasks/multi/2/done')).toBeUndefined()
      expect(await next.end(2, { key: 'done', value: 2 })).toMatchObject({ epoch: 2, by: 'm2' })
    } finally {
      child.kill('SIGKILL')
      await store.close()
    }
  })
})

it('a later start of a gang goes on after the end of a former one, whose acts are then too late', async () => {
  const store = await directory()
  const start = (restart: number) =>
    openArbiter({
      kind: 'owner',
      succession: datastoreSuccession(store, address),
      me: 'launcher',
      minNodes: 1,
      size: 2,
      restart,
    })
  const [former, late] = [start(0), start(0)]
  await former.open({ after: 0, living: ['m0', 'm1'] })
  await late.head()
  await former.end(1, undefined)
  const again = start(1)
  const over = await again.head()
  expect(versionOf(over)).toBe(2)
  expect(await again.open({ after: 2, living: ['m0', 'm1'] })).toMatchObject({ epoch: 3, restart: 1, control: 'm0' })
  await expect(late.end(1, undefined)).rejects.toMatchObject({ code: 'E_GANG_FENCED' })
  await expect(start(0).open({ after: 3, living: ['m0'] })).rejects.toMatchObject({ code: 'E_GANG_FENCED' })
  await again.end(3, undefined)
  await expect(again.open({ after: 4, living: ['m0'] })).rejects.toMatchObject({ code: 'E_GANG_FENCED' })
})
