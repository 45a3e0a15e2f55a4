import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { planLocal } from '../../src/backend/local/plan.js'
import type { Casualty } from '../../src/errors/verdict.js'
import type { StepDescription } from '../../src/flow/description.js'
import type { GangAttempt, GangRequest, GangTimeouts, Member } from '../../src/gang/contract.js'
import { needsOf } from '../../src/gang/needs.js'
import { OwnedGang } from '../../src/gang/owner/gang.js'
import { watchLeases } from '../../src/gang/owner/lease.js'
import { OwnedMember } from '../../src/gang/owner/members.js'
import { refusal } from '../../src/gang/owner/rendezvous.js'
import type { Report } from '../../src/gang/protocol.js'

const slack = Number(process.env['GANGFLOW_SLACK'] ?? 4)
const backed = (look?: Member['look']): Member => ({
  memberId: 'm1',
  host: 'here',
  agentExited: new Promise(() => {}),
  reap: async () => {},
  ...(look ? { look } : {}),
})
const member = (look?: Member['look']) => {
  const made = new OwnedMember(backed(look))
  made.lease = { isClosed: false } as never
  return made
}

describe('the last lines of a casualty', () => {
  const report = (casualty: Pick<Casualty, 'kind' | 'process'>) => {
    const attempt = { signal: new AbortController().signal, emit: () => {} } as unknown as GangAttempt
    const gang = new OwnedGang(attempt, {} as GangTimeouts)
    const lines = ['rank0', 'rank1'].map((process) => ({ process, stream: 'stdout' as const, text: `by ${process}` }))
    const one = member()
    gang.lines(one, lines)
    gang.reported(one, { kind: 'failed', ageMs: 0, failure: { cause: 'user', weight: 'own', casualty } } as Report)
    gang.lose(one, { at: 0, code: 'E_GANG_AGENT_LOST' })
    return gang.failures.map((failure) => failure.casualty.lastLines)
  }

  it('are its own, or those of a lost member by name', () => {
    expect(report({ kind: 'process', process: 'rank0' })[0]).toEqual(['by rank0'])
    const [silent, lost] = report({ kind: 'body' })
    expect(silent).toBeUndefined()
    expect(lost).toEqual(['rank1: by rank1'])
  })
})

describe('who knocks at the rendezvous', () => {
  const known = new OwnedMember(backed())
  const at = (epoch: number) => ({ members: new Map([['m1', known]]), epoch: () => epoch })
  const hello = { member: 'm1', purpose: 'lease', epoch: 0 } as const

  it('is let in as a member that has not come yet, or that comes again after a break', () => {
    expect(refusal(at(0), hello)).toBeUndefined()
    known.lease = { isClosed: true } as never
    expect(refusal(at(1), { ...hello, epoch: 1 })).toBeUndefined()
    known.lease = undefined
  })

  it.each([
    [0, { member: 'm9' }, 'E_GANG_STRANGER'],
    [1, {}, 'E_GANG_LATE'],
    [2, { epoch: 1 }, 'E_GANG_EPOCH'],
    [0, { purpose: 'peer' }, 'E_GANG_PROTOCOL'],
  ] as const)('at epoch %i with %j is refused: %s', (epoch, more, code) => {
    expect(refusal(at(epoch), { ...hello, ...more })).toMatchObject({
      code,
      what: expect.any(String),
      fix: expect.any(String),
    })
  })

  it('is let in as a replacement for the next epoch, and as a survivor that has not heard of it yet', () => {
    const fresh = new OwnedMember(backed())
    fresh.since = 1
    const former = new Set(['m0'])
    const to = (epoch: number) => ({ members: new Map([['m1', fresh]]), former, epoch: () => epoch })
    expect(refusal(to(1), hello)).toBeUndefined()
    expect(refusal(to(2), hello)).toMatchObject({ code: 'E_GANG_LATE' })
    fresh.joining = {} as never
    expect(refusal(to(2), hello)).toBeUndefined()
    fresh.formed = 2
    expect(refusal(to(3), { ...hello, epoch: 2 })).toBeUndefined()
    expect(refusal(to(3), { ...hello, epoch: 1 })).toMatchObject({ code: 'E_GANG_EPOCH' })
    // One that was given up is told so.
    expect(refusal(to(2), { ...hello, member: 'm0', epoch: 1 })).toMatchObject({
      code: 'E_GANG_EPOCH',
      what: expect.stringMatching(/given up after epoch 1; epoch 2 is current/),
    })
  })

  it('is refused while the one that it says to be is here', () => {
    known.lease = { isClosed: false } as never
    expect(refusal(at(0), hello)).toMatchObject({ code: 'E_GANG_DUPLICATE' })
    known.lease = undefined
  })
})

async function until(holds: () => boolean): Promise<void> {
  for (const deadline = performance.now() + 5_000 * slack; !holds() && performance.now() < deadline; ) await sleep(20)
}

describe('leases', () => {
  const watch = (members: OwnedMember[], leaseMs: number) => {
    const lapsed: OwnedMember[] = []
    const end = watchLeases({ leaseMs, patience: 3, members: () => members, lapsed: (one) => lapsed.push(one) })
    return { lapsed, end }
  }

  it('lapse by silence, once', async () => {
    const silent = member()
    const lively = member()
    const beat = setInterval(() => {
      lively.heard = performance.now()
    }, 20)
    const { lapsed, end } = watch([silent, lively], 300)
    await until(() => lapsed.length > 0)
    await sleep(600)
    expect(lapsed).toEqual([silent])
    clearInterval(beat)
    end()
  })

  it('are not counted while the watcher itself was stalled', async () => {
    const silent = member()
    const { lapsed, end } = watch([silent], 2_000)
    const until = performance.now() + 2_500
    while (performance.now() < until);
    await sleep(300)
    expect(lapsed).toEqual([])
    end()
  })

  it('are longer for who is seen to run and only wants for a processor', async () => {
    const begun = performance.now()
    const starved = member(() => ({ state: 'runs', text: '' }))
    const stopped = member(() => ({ state: 'stopped', text: '' }))
    const { lapsed, end } = watch([starved, stopped], 500)
    await until(() => lapsed.length === 2)
    expect(lapsed).toEqual([stopped, starved])
    expect(performance.now() - begun).toBeGreaterThan(2_000)
    end()
  })
})

describe('the plan of a local gang', () => {
  const step = { name: 'fit', plugins: [] } as unknown as StepDescription
  const request = (size: number, resources: object = {}): GangRequest => ({
    address: { flow: 'F', run: '1', step: 'fit', task: '2', attempt: 0 },
    step,
    size,
    resources,
  })
  const machine = { host: 'box', cpus: 8, gpus: ['0', '1', '2', '3', '4'] }

  it('shares out what there is', () => {
    expect(planLocal(request(2), machine, ['node', 'agent'])).toEqual({
      backend: 'local',
      argv: ['node', 'agent'],
      members: [
        { memberId: 'm0', host: 'box', addresses: ['127.0.0.1'], slots: 4, gpus: ['0', '1'] },
        { memberId: 'm1', host: 'box', addresses: ['127.0.0.1'], slots: 4, gpus: ['2', '3'] },
      ],
    })
    expect(
      planLocal(request(2, { cpu: 3, gpu: 1 }), machine, []).members.map(({ slots, gpus }) => [slots, gpus]),
    ).toEqual([
      [3, ['0']],
      [3, ['1']],
    ])
  })

  it('allows more members than cores, with ids in the order of nodes', () => {
    const { members } = planLocal(request(12), machine, [])
    expect(members.map(({ memberId }) => memberId)).toEqual([...members.map(({ memberId }) => memberId)].sort())
    expect(members.every(({ slots }) => slots === 1)).toBe(true)
  })

  it('takes a body on the control alone when one plugin wants that', () => {
    const plugins = [
      { name: 'a', options: {}, needs: { ports: ['p'] } },
      { name: 'b', options: {}, needs: { body: 'control', ports: ['p', 'q'] } },
    ]
    expect(needsOf({ ...step, plugins } as never)).toMatchObject({
      body: 'control',
      ports: ['p', 'q'],
      executables: [],
    })
    expect(needsOf(step)).toMatchObject({ body: 'all' })
  })
})
