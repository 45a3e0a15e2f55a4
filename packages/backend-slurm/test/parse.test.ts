import { describe, expect, it } from 'vitest'
import { parseAccounting, parseDetails, parsePlaces, parseQueue, parseSubmitted, parseTaskExit } from '../src/parse.js'
import { warningOf } from '../src/put-back.js'
import { endOf, isEnd, whyWaiting } from '../src/states.js'

// As Slurm 22.05.8 printed them.
const queue = `7|N/A|7|PENDING|0||2027-11-22T01:22:59|Resources|
8|N/A|8|PENDING|0||N/A|PartitionNodeLimit|
1|0|3|RUNNING|0|lab0|2026-11-22T01:22:59|None|
1|2|1|COMPLETING|1|lab[1-2]|2026-11-22T01:22:59|None|
9|N/A|9|PENDING|0||N/A|ReqNodeNotAvail, UnavailableNodes:lab[0-3]|
`
const shown =
  'JobId=1 ArrayJobId=1 ArrayTaskId=2 JobName=a JobState=FAILED b UserId=root(0) JobState=FAILED Reason=NonZeroExitCode Dependency=(null) Requeue=1 Restarts=2 BatchFlag=1 ExitCode=5:0 NodeList=lab1 BatchHost=lab1 NumNodes=1'

describe('squeue', () => {
  it('is read row by row, elements of arrays by their own ids', () => {
    expect(parseQueue(`slurm_load_jobs error: x\n${queue}`).map(({ id, state }) => `${id} ${state}`)).toEqual([
      '7 PENDING',
      '8 PENDING',
      '1_0 RUNNING',
      '1_2 COMPLETING',
      '9 PENDING',
    ])
    expect(parseQueue(queue)[3]).toMatchObject({ restarts: 1, nodes: 'lab[1-2]' })
  })

  it('says why a job waits, and when it is expected to start', () => {
    const [resources, limit, running, , away] = parseQueue(queue)
    expect(whyWaiting(resources!)).toBe(
      'its job waits for free nodes (Resources), expected to start at 2027-11-22 01:22:59',
    )
    expect(whyWaiting(limit!)).toBe('its job waits (PartitionNodeLimit)')
    expect(whyWaiting(running!)).toBeUndefined()
    expect(whyWaiting(away!)).toContain(
      'waits for nodes that are down or reserved (ReqNodeNotAvail, UnavailableNodes:lab[0-3])',
    )
  })
})

it('places in the queue: by priority, then by age, in each partition', () => {
  const text = '12|main|100|\n11|main|100|\n14|main|900|\n15|urgent|1|\n12|urgent|5|\nsomething else\n'
  expect([...parsePlaces(text)].sort()).toEqual([
    ['11', 1],
    ['12', 0],
    ['14', 0],
    ['15', 1],
  ])
  const waits = { state: 'PENDING', reason: 'Priority', start: '' }
  expect(whyWaiting({ ...waits, ahead: 3 })).toBe('its job waits for others of higher priority (Priority), 3 before it')
})

describe('the end of a job', () => {
  it('is told by scontrol, whatever the job is called', () => {
    expect(parseDetails('slurm_load_jobs error: Invalid job id specified')).toBeUndefined()
    const details = parseDetails(shown.replace('JobName=a JobState=FAILED b', 'JobName=ab'))
    expect(details).toMatchObject({
      state: 'FAILED',
      reason: 'NonZeroExitCode',
      exitCode: 5,
      signal: 0,
      nodes: 'lab1',
      restarts: 2,
    })
    expect(endOf('FAILED', details)).toMatchObject({
      cause: 'infrastructure',
      summary: 'failed with exit code 5',
      host: 'lab1',
      restarts: 2,
    })
  })

  it('is near: preempted, or out of time, which it may have more of', () => {
    const warning = (words: string, asked = {}) =>
      warningOf(parseDetails(`JobState=RUNNING ${words}`), asked, Date.parse('2026-11-22T02:50:20'))
    const cause = 'preempted'
    const taken = 'PreemptTime=2026-11-22T02:50:20'
    expect(warning(`EndTime=2026-11-22T02:50:40 ${taken}`)).toMatchObject({ cause, leftMs: 20_000 })
    expect(warning(`EndTime=Unknown ${taken}`)).toEqual({ cause, times: 1_000 })
    const limit = { cause: 'time-limit', leftMs: 60_000, times: 3 }
    expect(warning('EndTime=2026-11-22T02:51:20 PreemptTime=None', { requeues: 3 })).toEqual(limit)
    expect(warning('EndTime=2026-11-22T04:50:20 PreemptTime=None', { requeues: 3 })).toBeUndefined()
    expect(warningOf(parseDetails('JobState=CANCELLED'), {}, 0)).toBeUndefined()
  })

  it('is told by sacct where the controller knows nothing any more', () => {
    expect(parseAccounting('CANCELLED by 1000|0:15|lab[0-1]\n')).toMatchObject({ state: 'CANCELLED', signal: 15 })
    expect(parseAccounting('')).toBeUndefined()
  })

  it.each([
    ['TIMEOUT', 'timeout'],
    ['DEADLINE', 'timeout'],
    ['CANCELLED', 'cancelled'],
    ['NODE_FAIL', 'infrastructure'],
    ['BOOT_FAIL', 'infrastructure'],
    ['OUT_OF_MEMORY', 'infrastructure'],
    ['PREEMPTED', 'preempted'],
    ['COMPLETED', undefined],
  ])('%s is %s', (state, cause) => {
    expect(isEnd(state)).toBe(true)
    expect(endOf(state).cause).toBe(cause)
  })

  it('says what slurmd means by signal 53', () => {
    const details = {
      state: 'FAILED',
      reason: '',
      exitCode: 0,
      signal: 53,
      nodes: 'lab0',
      restarts: 0,
      preempted: false,
    }
    expect(endOf('FAILED', details)).toMatchObject({ summary: 'could not open its output file on its node' })
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
