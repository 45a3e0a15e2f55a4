import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { openDatastore } from '../../packages/core/src/datastore/open.js'
import type { Allocation, Bootstrap, GangBackend, GangRequest } from '../../packages/core/src/gang/contract.js'
import { drawSecret } from '../../packages/core/src/gang/keys.js'
import { defaultTimeouts } from '../../packages/core/src/gang/timeouts.js'
import { alive, slack, sleep, until } from '../support/gang.js'

export interface BackendUnderTest {
  readonly backend: GangBackend
  /** Pids, on this machine, of what was started for a member as its agent. */
  agents(allocation: Allocation): readonly number[]
  close(): Promise<void>
}

/** What every backend must hold; the agents that it starts are those of core. */
export function backendConformance(name: string, make: () => Promise<BackendUnderTest>): void {
  describe(`backend ${name}`, () => {
    const made: BackendUnderTest[] = []
    afterEach(async () => {
      for (const one of made.splice(0)) await one.close()
    })
    const fresh = async () => {
      const under = await make()
      made.push(under)
      return under
    }
    const request = (size: number): GangRequest => ({
      address: { flow: 'Conformance', run: `c${process.pid}`, step: 'work', task: '1', attempt: 0 },
      step: { name: 'work', plugins: [] } as never,
      size,
      resources: {},
    })
    /** A rendezvous at which nobody is: the agents end by themselves. */
    const bootstrap = async (joinMs = defaultTimeouts.join): Promise<Bootstrap> => {
      const datastore = await openDatastore(mkdtempSync(join(tmpdir(), 'gangflow-backend-')))
      return {
        secret: drawSecret(),
        rendezvous: '/tmp/gf-nobody/rendezvous.sock',
        transport: 'unix',
        address: request(1).address,
        datastore: datastore.location,
        timeouts: { ...defaultTimeouts, join: joinMs },
      }
    }

    it('plans purely: the same request gives the same plan, as JSON, and starts nothing', async () => {
      const { backend } = await fresh()
      const [one, two] = [backend.plan(request(3)), backend.plan(request(3))]
      expect(one).toEqual(two)
      expect(JSON.parse(JSON.stringify(one))).toEqual(one)
    })

    it('gives exactly the members that were asked for, each with an id and a host of its own name', async () => {
      const { backend } = await fresh()
      const allocation = await backend.start(
        backend.plan(request(3)),
        await bootstrap(),
        new AbortController().signal,
        () => {},
      )
      expect(new Set(allocation.members.map(({ memberId }) => memberId)).size).toBe(3)
      for (const { memberId, host } of allocation.members)
        expect([memberId, host].every((text) => /^[\w.-]+$/.test(text))).toBe(true)
      await allocation.release()
    })

    it('tells how an agent ended that found no rendezvous', async () => {
      const { backend } = await fresh()
      const allocation = await backend.start(
        backend.plan(request(1)),
        await bootstrap(2_000),
        new AbortController().signal,
        () => {},
      )
      const exit = await allocation.members[0]!.agentExited
      expect(exit).toMatchObject({ code: 70, signal: null, solicited: false })
      await until(() => (allocation.members[0]!.lastLines?.().length ?? 0) > 0, 'its last lines')
      expect(allocation.members[0]!.lastLines!().join('\n')).toMatch(/nobody answers|closed during the handshake/)
      await allocation.release()
    })

    it('reaps a member, stopped ones too, any number of times; and gives all back', async () => {
      const under = await fresh()
      const allocation = await under.backend.start(
        under.backend.plan(request(2)),
        await bootstrap(),
        new AbortController().signal,
        () => {},
      )
      const pids = under.agents(allocation)
      for (const pid of pids) process.kill(pid, 'SIGSTOP')
      await sleep(50)
      await allocation.members[0]!.reap()
      await allocation.members[0]!.reap()
      await allocation.release()
      await allocation.release()
      await until(() => pids.every((pid) => !alive(pid)), 'no agent is left', 5_000 * slack)
      for (const member of allocation.members) expect((await member.agentExited).code).not.toBe(0)
    })

    it('starts nothing when it is told to give up', async () => {
      const { backend } = await fresh()
      await expect(
        backend.start(backend.plan(request(2)), await bootstrap(), AbortSignal.abort(new Error('enough')), () => {}),
      ).rejects.toThrowError('enough')
    })
  })
}
