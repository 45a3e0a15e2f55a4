import { describe, expect, it } from 'vitest'
import { availableCpus } from '../../src/errors/cpus.js'
import type { Cause } from '../../src/errors/verdict.js'
import { Admission } from '../../src/runtime/admission.js'
import { commandLine } from '../../src/runtime/command.js'
import { counted, type FailedAttempts, retryDelay } from '../../src/runtime/retry.js'
import { newRunId } from '../../src/runtime/run-id.js'
import { claimRun } from '../../src/runtime/run-record.js'
import { temporaryStore } from './fake-services.js'

describe('run ids', () => {
  it('are Metaflow-like, safe for keys, and sort by start', () => {
    const ids = Array.from({ length: 1000 }, () => newRunId())
    expect(new Set(ids).size).toBe(1000)
    expect([...ids].sort()).toEqual(ids)
    for (const id of ids) expect(id).toMatch(/^\d{16}$/)
  })

  it('belong to one launcher: who comes second gets another', async () => {
    const store = temporaryStore()
    const wished = newRunId()
    const claims = await Promise.all([1, 2, 3, 4].map(() => claimRun(store, 'Flow', wished)))
    expect(new Set(claims).size).toBe(4)
    expect(claims).toContain(wished)
  })
})

describe('admission', () => {
  it('counts workers, CPUs and devices, a gang as one worker with all its members’ resources', () => {
    const admission = new Admission({ workers: 3, cpus: 4, gpus: ['0', '1', '10'] })
    const gang = admission.admit({ cpu: 1, gpu: 1 }, 2)
    expect(gang).toEqual({ cpu: 2, gpus: ['0', '1'] })
    expect(admission.admit({ gpu: 2 })).toBeUndefined()
    expect(admission.admit({ cpu: 3 })).toBeUndefined()
    expect(admission.admit({ gpu: 1 })).toEqual({ cpu: 0, gpus: ['10'] })
    expect(admission.admit({})).toBeDefined()
    expect(admission.admit({})).toBeUndefined()
    admission.release(gang!)
    expect(admission.admit({ gpu: 2 })?.gpus).toEqual(['0', '1'])
  })

  it('lets what asks for more than there is have all there is', () => {
    const admission = new Admission({ workers: 3, cpus: 2, gpus: [] })
    expect(admission.admit({ cpu: 64, gpu: 8 })).toEqual({ cpu: 2, gpus: [] })
    expect(admission.admit({ cpu: 0.5 })).toBeUndefined()
    expect(admission.admit({})).toBeDefined()
  })

  it('never finds less than one CPU', () => {
    expect(availableCpus()).toBeGreaterThanOrEqual(1)
    expect(Number.isInteger(availableCpus())).toBe(true)
  })
})

it('waits longer from attempt to attempt', () => {
  const policy = { times: 3, delayMs: 100, backoff: 3 }
  expect([1, 2, 3, 4].map((user) => retryDelay(policy, { user }, 'user'))).toEqual([100, 300, 900, undefined])
  expect(retryDelay(undefined, { user: 1 }, 'user')).toBeUndefined()
  expect(retryDelay({ times: 500, delayMs: 1000, backoff: 10 }, { timeout: 400 }, 'timeout')).toBeLessThan(2 ** 31)
})

it('draws each retry on the budget of its cause, or on the common one', () => {
  const policy = { times: 2, delayMs: 100, backoff: 1, budgets: { user: 0, preempted: 3 } }
  const may = (...causes: Cause[]) => {
    const failed = causes.reduce<FailedAttempts>((sum, cause) => counted(sum, cause), {})
    return retryDelay(policy, failed, causes.at(-1)!) !== undefined
  }
  expect(may('user')).toBe(false)
  expect(may('infrastructure', 'timeout')).toBe(true)
  expect(may('infrastructure', 'timeout', 'infrastructure')).toBe(false)
  // Its own budget is neither used up by others nor uses theirs up.
  expect(may('infrastructure', 'timeout', 'preempted', 'preempted', 'preempted')).toBe(true)
  expect(may('preempted', 'preempted', 'preempted', 'preempted')).toBe(false)
  expect(may('preempted', 'preempted', 'infrastructure', 'timeout')).toBe(true)
  expect(may('cancelled')).toBe(false)
})

it('writes the command that does the same, as a shell takes it', () => {
  expect(
    commandLine('run', 'my flow.ts', {
      parameters: { learningRate: 0.1, name: "it's", fast: true, slow: false, list: [1, 2], skip: undefined },
      backend: 'ssh',
      backendOptions: { hosts: 'a,b' },
      tags: ['x', 'y z'],
      maxWorkers: 2,
      env: { A: '1' },
      inspect: { step: 'fit', node: 1 },
      timeout: '2h',
      dryRun: true,
    }),
  ).toBe(
    "gangflow run 'my flow.ts' --learning-rate 0.1 --name 'it'\\''s' --fast --no-slow --list '[1,2]' --backend ssh " +
      "--hosts a,b --tag x --tag 'y z' --max-workers 2 --env A=1 --inspect fit/1 --timeout 2h --dry-run",
  )
  expect(commandLine('resume', 'f.ts', { origin: '17', from: 'fit' })).toBe(
    'gangflow resume f.ts --origin 17 --from fit',
  )
})
