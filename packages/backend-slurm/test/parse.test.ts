import { describe, expect, it } from 'vitest'
import { type JobRow, parseAccounting, parsePlaces, parseQueue, parseSubmitted, parseTaskExit } from '../src/parse.js'
import { warningOf } from '../src/put-back.js'
import { cannotStart, doing, endOf, isEnd, isLate } from '../src/states.js'
import { recorded } from './recorded.js'

const row = (state: string, more: Partial<JobRow> = {}): JobRow => ({
  ...{ id: '1', state, reason: '', exitCode: 0, signal: 0, restarts: 0, nodes: '', start: '', preempted: false },
  ...more,
})

describe.each(Object.entries(recorded))('squeue of Slurm %s', (_, { queue, never }) => {
  const rows = new Map(parseQueue(`slurm_load_jobs error: x\n${queue}`).map((one) => [one.id, one]))

  it('is read row by row, elements of arrays by their own ids', () => {
    const ends = ['1', '2', '3_0', '3_1', '3_2', '3_3'].map((id) => rows.get(id)!)
    expect(ends.map(({ state, exitCode, signal }) => `${state} ${exitCode}:${signal}`)).toEqual([
      'FAILED 5:0',
      'FAILED 0:11',
      'COMPLETED 0:0',
      'FAILED 1:0',
      'FAILED 2:0',
      'FAILED 3:0',
    ])
    expect(endOf(rows.get('2')!)).toMatchObject({
      summary: 'was ended by SIGSEGV',
      signal: 'SIGSEGV',
      host: 'lab[0-1]',
    })
    expect([...rows.values()].filter(({ preempted }) => preempted)).toEqual([])
  })

  it('says why a job waits, and that one will never start', () => {
    expect(doing(rows.get('8')!)).toBe('its job is held by its user: `scontrol release` lets it go on (JobHeldUser)')
    const hopeless = rows.get('9')!
    expect(isEnd(hopeless.state) ? endOf(hopeless).summary : doing(hopeless)).toBe(never)
    if (isEnd(hopeless.state)) expect(endOf(hopeless)).toMatchObject({ cause: 'user', state: 'FAILED' })
  })
})

it('a job that waits is told with its place and the time that Slurm expects', () => {
  const start = '2027-11-22T01:22:59'
  expect(doing(row('PENDING', { reason: 'Resources', start }))).toBe(
    'its job waits for free nodes (Resources), expected to start at 2027-11-22 01:22:59',
  )
  const away = 'ReqNodeNotAvail, UnavailableNodes:lab[0-3]'
  expect(doing(row('PENDING', { reason: away }))).toBe(`its job waits for nodes that are down or reserved (${away})`)
  const drained = 'Nodes required for job are DOWN, DRAINED or reserved for jobs in higher priority partitions'
  expect(doing(row('PENDING', { reason: drained }))).toContain('waits for nodes that are down')
  expect(['PartitionNodeLimit', drained, away, 'Resources'].map(cannotStart)).toEqual([true, false, false, false])
  expect(doing(row('PENDING', { reason: 'PartitionTimeLimit' }))).toContain('cannot start: it asks for more time')
  expect(doing(row('PENDING', { reason: 'Priority' }), 3)).toBe(
    'its job waits for others of higher priority (Priority), 3 before it',
  )
  expect(doing(row('RUNNING', { id: '7_1', nodes: 'lab0' }))).toBe('its job 7_1 runs on lab0')
  expect(doing(row('SUSPENDED'))).toBe('its job is suspended')
})

it('a job that waits past its deadline, which Slurm lets it do where it is held, ends as one that has reached it', () => {
  const due = '2026-11-22T11:51:06'
  const [waits] = parseQueue(`5|N/A|5|PENDING|0|0||N/A|N/A|N/A|${due}|JobHeldUser|`)
  const after = (ms: number) => isLate(waits!, Date.parse(due) + ms)
  // Slurm's own schedulers come first.
  expect([after(30_000), after(61_000)]).toEqual([false, true])
  expect(isLate(row('PENDING', { reason: 'DeadLine' }), 0)).toBe(true)
  expect(isLate({ ...waits!, state: 'RUNNING' }, Date.parse('2027-01-01'))).toBe(false)
  const { cause, summary } = endOf({ ...waits!, state: 'DEADLINE' })
  expect({ cause, summary }).toEqual({ cause: 'timeout', summary: 'reached its deadline in the queue: JobHeldUser' })
})

it('places in the queue: by priority, then by age, in each partition', () => {
  const text = '12|main|100|\n11|main|100|\n14|main|900|\n15|urgent|1|\n12|urgent|5|\nsomething else\n'
  expect([...parsePlaces(text)].sort()).toEqual([
    ['11', 1],
    ['12', 0],
    ['14', 0],
    ['15', 1],
  ])
})

describe('the end of a job', () => {
  it('is near: preempted, or out of time, which it may have more of', () => {
    const warning = (end: string, preempt: string, asked = {}, state = 'RUNNING') =>
      warningOf(
        parseQueue(`1|N/A|1|${state}|0|0:0|lab0|2026-11-22T01:00:00|${end}|${preempt}|N/A|None|`)[0],
        asked,
        Date.parse('2026-11-22T02:50:20'),
      )
    const cause = 'preempted'
    const taken = '2026-11-22T02:50:20'
    expect(warning('2026-11-22T02:50:40', taken)).toMatchObject({ cause, leftMs: 20_000 })
    expect(warning('NONE', taken)).toEqual({ cause, times: 1_000 })
    const limit = { cause: 'time-limit', leftMs: 60_000, times: 3 }
    expect(warning('2026-11-22T02:51:20', 'N/A', { requeues: 3 })).toEqual(limit)
    expect(warning('2026-11-22T04:50:20', 'N/A', { requeues: 3 })).toBeUndefined()
    expect(warning('N/A', 'N/A', {}, 'CANCELLED')).toBeUndefined()
  })

  it('is told by sacct where the controller knows nothing any more, of all at once', () => {
    // As sacct 24.11.5 answered for 6,7_0,7_1,7_2,10,11_1,99 with slurmdbd, and one more for an end that was not had.
    const answer =
      '6|FAILED|5:0|lab0\n10|CANCELLED by 0|0:0|lab0\n7_0|COMPLETED|0:0|lab0\n7_1|FAILED|1:0|lab1\n7_2|FAILED|2:0|lab1\n'
    const rows = parseAccounting(`${answer}8_1|OUT_OF_MEMORY|0:125|lab0\n8_[2-9]|PENDING|0:0|None assigned\n`)
    expect(rows.map(({ id, state, exitCode }) => `${id} ${state} ${exitCode}`)).toEqual([
      '6 FAILED 5',
      '10 CANCELLED 0',
      '7_0 COMPLETED 0',
      '7_1 FAILED 1',
      '7_2 FAILED 2',
      '8_1 OUT_OF_MEMORY 0',
    ])
    // Slurm's own number, no signal.
    expect(endOf(rows.at(-1)!)).not.toHaveProperty('signal')
    expect(parseAccounting('')).toEqual([])
  })

  it.each([
    ['TIMEOUT', 'timeout', /time limit/, /time=4h/],
    ['DEADLINE', 'timeout', /deadline/, /later deadline/],
    ['CANCELLED', 'cancelled', /was cancelled/, /scancel/],
    ['NODE_FAIL', 'infrastructure', /lost a node/, /@retry\(\{ infrastructure/],
    ['BOOT_FAIL', 'infrastructure', /did not boot/, /@retry/],
    ['OUT_OF_MEMORY', 'infrastructure', /out of memory/, /mem: '16G'/],
    ['PREEMPTED', 'preempted', /preempted by another/, /@retry\(\{.*preempted: 10/],
    ['FAILED', 'infrastructure', /^failed$/, undefined],
    ['COMPLETED', undefined, /ended by itself/, undefined],
    ['UNKNOWN', 'infrastructure', /not known/, /MinJobAge/],
  ])('%s is %s', (state, cause, summary, fix) => {
    expect(isEnd(state)).toBe(true)
    const end = endOf({ state })
    expect(end.cause).toBe(cause)
    expect(end.summary).toMatch(summary)
    if (fix) expect(end.fix).toMatch(fix)
    else expect(end.fix).toBeUndefined()
  })

  it('says what slurmd and the script mean by their numbers', () => {
    expect(endOf(row('FAILED', { signal: 53, nodes: 'lab0' })).summary).toBe(
      'could not open its output file on its node',
    )
    const unseen = endOf(row('FAILED', { exitCode: 66, nodes: 'lab0', restarts: 2 }))
    expect(unseen).toMatchObject({ fix: expect.stringContaining('--datastore'), exitCode: 66, restarts: 2 })
    // As 22.05.8 tells of a job that its OverMemoryKill has ended.
    const killed = endOf(row('FAILED', { signal: 9, nodes: 'lab0', reason: 'JobLaunchFailure' }))
    expect(killed).toMatchObject({ summary: 'was ended by SIGKILL', fix: expect.stringContaining('more memory') })
    expect(endOf(row('CANCELLED', { reason: 'DependencyNeverSatisfied' })).summary).toContain(
      'DependencyNeverSatisfied',
    )
  })
})

it.each([
  ['12', '12'],
  ['12;lab', '12'],
  ['sbatch: lua: checked\n345', '345'],
  ['Submitted batch job 3', undefined],
])('the id in %j is %s', (text, id) => {
  expect(parseSubmitted(text)).toBe(id)
})

it.each([
  ['srun: error: lab2: task 2: Exited with exit code 7', { tasks: [2], code: 7, signal: null }],
  ['srun: error: lab[1-3]: tasks 1-3: Killed', { tasks: [1, 2, 3], code: null, signal: 'SIGKILL' }],
  [
    'srun: error: lab0: tasks 0,2-3: Segmentation fault (core dumped)',
    { tasks: [0, 2, 3], code: null, signal: 'SIGSEGV' },
  ],
  ['srun: Force Terminated StepId=11.0', undefined],
])('%s', (line, exit) => {
  expect(parseTaskExit(line)).toEqual(exit)
})
