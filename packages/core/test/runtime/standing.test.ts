import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { random } from '../../../../tests/support/random.js'
import { thisOwner } from '../../src/datastore/owner.js'
import { type AttemptFailedRecord, type DoneRecord, keys } from '../../src/datastore/records.js'
import type { Json } from '../../src/flow/values.js'
import type { LaunchRecord } from '../../src/runtime/job-record.js'
import { DecidedEnd, Journal, type JournalEntry } from '../../src/runtime/journal.js'
import { keyOf, Plan, type PlannedTask } from '../../src/runtime/plan.js'
import { planStanding } from '../../src/runtime/recover.js'
import { readAttachable, takeUp } from '../../src/runtime/take-up.js'
import { temporaryStore } from './fake-services.js'
import { choose, interpret, randomProgram, toDescription } from './random-flow.js'

const launch = { backend: 'engine' } as unknown as LaunchRecord
const none = { specs: [], done: new Map(), failed: new Map(), named: new Set<string>() }

const jobs = (name: string, tasks: readonly PlannedTask[], attempt = 0, owner = 1): JournalEntry =>
  ({
    kind: 'jobs',
    name,
    owner,
    version: 1,
    tasks: tasks.map((task) => ({ task, attempt })),
  }) as unknown as JournalEntry

describe('a run as it stands', () => {
  it('goes on from any point, in the same tasks, whoever leads it (200 random flows)', () => {
    for (let seed = 0; seed < 200; seed++) {
      const rand = random(seed)
      const program = randomProgram(rand)
      const description = toDescription(program)
      const steps = new Map(description.steps.map((step) => [step.name, step]))
      const entries: JournalEntry[] = []
      const done = new Map<string, DoneRecord>()
      const visits = new Map<string, number>()
      const ways = new Map<string, DoneRecord['transition']>()
      const way = (task: PlannedTask) => {
        const path = task.frames.map((frame) => `/${frame.step}:${frame.index}`).join('')
        const place = `${task.step}@${path}`
        if (!ways.has(keyOf(task))) {
          visits.set(place, (visits.get(place) ?? 0) + 1)
          ways.set(keyOf(task), choose(seed, steps.get(task.step)!, path, visits.get(place)!))
        }
        return ways.get(keyOf(task))!
      }
      for (let owner = 0; ; owner++) {
        // Each owner but the last is killed after a few tasks, in which others than it may have been handed over.
        const { plan, begun, ready, done: count } = planStanding(description, { ...none, entries, done })
        expect(count, `seed ${seed}`).toBe(done.size)
        const open = [...begun.map(({ task }) => task), ...ready]
        for (let left = 1 + Math.floor(rand() * 6); left > 0 && open.length > 0; left--) {
          const [task] = open.splice(Math.floor(rand() * open.length), 1) as [PlannedTask]
          if (!begun.some((one) => keyOf(one.task) === keyOf(task)))
            entries.push(jobs(String(entries.length + 1).padStart(6, '0'), [task], 0, owner))
          if (rand() < 0.3) continue
          const record = { attempt: 0, epoch: 1, startedAt: 0, endedAt: 0, artifacts: {}, transition: way(task) }
          expect(done.has(keyOf(task)), `seed ${seed}: ${keyOf(task)} twice`).toBe(false)
          done.set(keyOf(task), record)
          open.push(...plan.complete(task, record))
        }
        if (plan.finished) break
      }
      const ran = [...done.keys()].map((key) => key.split('/')[0]).sort()
      expect(ran, `seed ${seed}`).toEqual(
        interpret(program, seed)
          .map(({ step }) => step)
          .sort(),
      )
    }
  })

  it('follows the last attempt, counts those that failed, and does not follow one that a launcher has closed', () => {
    const description = toDescription(randomProgram(random(1)))
    const [start] = new Plan(description).start() as [PlannedTask]
    const entries = [jobs('000002', [start], 0), jobs('000003', [start], 1)]
    const failure = (attempt: number, code: string): AttemptFailedRecord =>
      ({ attempt, endedAt: 0, verdict: { cause: 'preempted', code } }) as unknown as AttemptFailedRecord
    const standing = (codes: readonly string[], named: readonly string[] = ['000002', '000003']) => {
      const failed = new Map([[keyOf(start), codes.map((code, attempt) => failure(attempt, code))]])
      return planStanding(description, { ...none, entries, failed, named: new Set(named) }).begun[0]!
    }
    expect(standing(['E_STEP_THREW'])).toMatchObject({
      attempt: 1,
      failed: { preempted: 1 },
      handed: { job: '000003' },
    })
    expect(standing(['E_STEP_THREW']).ended).toBeUndefined()
    // Its job may have been put back into the queue since.
    expect(standing(['E_JOB_ENDED', 'E_STEP_THREW']).ended).toBeUndefined()
    expect(standing(['E_JOB_ENDED', 'E_JOB_ENDED']).ended).toMatchObject({ attempt: 1 })
    expect(standing(['E_JOB_ENDED', 'E_ENGINE_REFUSED'], ['000002']).ended).toMatchObject({ attempt: 1 })
  })
})

describe('the journal of a run', () => {
  it('takes nothing from an owner after the claim of a later one, however they race (40 runs)', async () => {
    for (let seed = 0; seed < 40; seed++) {
      const rand = random(seed)
      const store = temporaryStore()
      const succeeded: { name: string; owner: number }[] = []
      const claims = new Map<number, string>()
      const refused = new Set<number>()
      const own = async (owner: number) => {
        await pause(rand() * 6)
        await store.createRecord(keys.owner('F', '1', owner), thisOwner() as unknown as Json)
        const journal = new Journal(store, 'F', '1', owner)
        try {
          claims.set(owner, await journal.append({ kind: 'owner', launch }))
          for (let count = 0; count < 12; count++) {
            await pause(rand() * 2)
            succeeded.push({ owner, name: await journal.append({ kind: 'stop' } as never) })
          }
        } catch (error) {
          expect(error).toMatchObject({ code: 'E_RUN_TAKEN_OVER' })
          refused.add(owner)
        }
      }
      await Promise.all([1, 2, 3].map(own))
      for (const { name, owner } of succeeded)
        for (const [later, claim] of claims)
          if (later > owner)
            expect(name < claim, `seed ${seed}: ${owner} at ${name}, ${later} since ${claim}`).toBe(true)
      expect(refused.has(3)).toBe(false)
      expect(succeeded.filter(({ owner }) => owner === 3)).toHaveLength(12)
    }
  })
})

it("a job finds its run's end by what was decided after it, and nothing in what a former owner wrote late", async () => {
  const store = temporaryStore()
  const own = (owner: number) => new Journal(store, 'F', '1', owner)
  const former = own(1)
  await former.append({ kind: 'owner', launch })
  const job = await former.append(jobs('', []) as never)
  const found = new DecidedEnd(store, 'F', '1', job)
  expect(await found.look()).toBeUndefined()
  await own(2).append({ kind: 'owner', launch })
  await store.createRecord(keys.job('F', '1', '000004'), { kind: 'stop', owner: 1, reason: { why: 'late' } } as never)
  expect(await found.look()).toBeUndefined()
  await own(2).append({ kind: 'stop', reason: { cause: 'cancelled', why: 'Ctrl-C', graceMs: 1 }, end: {} } as never)
  expect(await found.look()).toMatchObject({ why: 'Ctrl-C' })
})

describe('taking a run up', () => {
  const flow = 'F'
  const run = '1'
  const about = { flow, run, launch, signal: new AbortController().signal, note: () => {} }
  const far = { host: 'login-2', pid: 1, pidStart: '1', at: Date.now() }

  it('is refused while its launcher gives signs of life, and goes on when they have ended', async () => {
    const store = temporaryStore()
    await store.createRecord(keys.owner(flow, run, 1), far)
    const tell = (at: number) => store.putRecord(keys.seen(flow, run, 1), { at, everyMs: 60 })
    await tell(1)
    let at = 1
    const beat = setInterval(() => void tell(++at), 60)
    const notes: string[] = []
    const waiting = takeUp(store, { ...about, note: (text) => notes.push(text) })
    await expect(waiting).rejects.toThrow(/run F\/1 is led by process 1 on login-2, since .*sign of life/)
    expect(notes.join()).toMatch(/waiting 1 s for a sign of life of its launcher: process 1 on login-2/)
    clearInterval(beat)
    await pause(120)
    const { journal, entries } = await takeUp(store, about)
    expect(journal.owner).toBe(2)
    expect(entries.map(({ kind, owner }) => `${kind} ${owner}`)).toEqual(['owner 2'])
  })

  it('is refused at once by a launcher that runs here, unless it has left or is to be taken over', async () => {
    const store = temporaryStore()
    await store.createRecord(keys.owner(flow, run, 1), thisOwner() as unknown as Json)
    await expect(takeUp(store, about)).rejects.toMatchObject({ code: 'E_RUN_OWNED' })
    expect((await takeUp(store, { ...about, takeOver: true })).journal.owner).toBe(2)
    await store.createRecord(keys.left(flow, run, 2), { at: 0 })
    const both = await Promise.allSettled([takeUp(store, about), takeUp(store, about)])
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(both.find((one) => one.status === 'rejected')?.reason).toMatchObject({ code: 'E_RUN_OWNED' })
  })

  it('is refused by name of a run that has ended, or whose tasks end with their launcher', async () => {
    const store = temporaryStore()
    const code = (name: string) => expect.objectContaining({ code: name })
    await expect(readAttachable(store, flow, run)).rejects.toEqual(code('E_NOT_FOUND'))
    const record = { flow, run, file: 'flow.ts', backend: 'engine' }
    await store.putRecord(keys.run(flow, run), record)
    await expect(readAttachable(store, flow, run)).rejects.toEqual(code('E_ATTACH_BACKEND'))
    await store.putRecord(keys.run(flow, run), { ...record, jobs: true })
    await new Journal(store, flow, run, 1).append({ kind: 'owner', launch })
    expect(await readAttachable(store, flow, run)).toMatchObject({ launch })
    await store.createRecord(keys.relayed(flow, run), { at: 0 })
    await expect(readAttachable(store, flow, run)).rejects.toThrow(/on nodes that do not see the datastore/)
    await store.createRecord(keys.end(flow, run), { status: 'failed', endedAt: 0 })
    await expect(readAttachable(store, flow, run)).rejects.toEqual(code('E_ATTACH_ENDED'))
  })
})
