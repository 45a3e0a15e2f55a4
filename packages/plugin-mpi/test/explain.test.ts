import type { GangContext } from '@gangflow/core/plugin'
import { describe, expect, it } from 'vitest'
import { casualtyOf, explain, type LaunchFacts } from '../src/explain.js'
import { readVersion } from '../src/implementation.js'
import { type PlanInput, planLaunch } from '../src/launch-plan.js'
import { Ranks } from '../src/ranks.js'
import { settle } from '../src/settings.js'
import type { LaunchEnd } from '../src/supervise.js'

const nodes = [0, 1].map((node) => ({
  node,
  memberId: `m${node}`,
  host: `host${node + 1}`,
  addresses: [`10.0.0.1${node}`],
  slots: 1,
  gpus: [],
}))
const gang = {
  step: 'train',
  nodeIndex: 0,
  roster: { epoch: 1, control: 'm0', entries: nodes },
} as unknown as GangContext
const versions = { prrte: 'mpirun (Open MPI) 5.0.11\n', hydra: 'HYDRA build details:\n    Version:   5.0.2\n' }
const welcome = ['0 hello 0 2 0 100 5000', '1 hello 1 2 0 200 90000']

/** What came of a launch of two ranks whose wrappers said these lines (`NODE LINE`). */
function came(
  lines: readonly string[],
  end: Partial<LaunchEnd> & { exitCode?: number | null; signal?: NodeJS.Signals; stderr?: string } = {},
  launcher: keyof typeof versions = 'prrte',
) {
  const settings = settle({}, 'mpirun', { program: './a.out' })
  const input: PlanInput = {
    implementation: readVersion('mpirun', versions[launcher]),
    bin: '/opt/mpi/bin',
    settings,
    nodes,
    places: { directory: '/tmp/gf-mpi-1', shared: '/dev/shm/gf-mpi-1' },
    flowDir: '/flow',
    root: false,
    machines: [],
    subnets: [],
    env: {},
  }
  const ranks = new Ranks(gang.roster)
  for (const line of lines) ranks.hear(Number(line[0]), line.slice(2))
  const { exitCode = 0, signal = 'SIGKILL', stderr = '', ...more } = end
  const result = {
    node: 0,
    exitCode,
    signal: exitCode === null ? signal : null,
    stdout: '',
    stderr,
    durationMs: 1,
  }
  const facts: LaunchFacts = {
    gang,
    plan: planLaunch(input),
    settings,
    input,
    ranks,
    end: { result, endedAt: performance.now(), running: [], lost: [], reached: new Set([1]), ...more },
  }
  return explain(facts)
}
const lost = (node: number, exit: { code: number | null; signal: NodeJS.Signals | null }) => ({
  at: performance.now(),
  channel: { id: 1, node, host: `host${node + 1}`, command: 'prted', state: 'ended' as const, exit },
})
const well = [...welcome, '0 end 0 code 0 10', '1 end 1 code 0 10']

describe('an exit code is not believed', () => {
  it('success: exit 0, and every rank has reported its own', () => {
    expect(came(well)).toBeUndefined()
    // All have ended well, and the launcher never noticed.
    expect(came(well, { stopped: 'hung', exitCode: null })).toBeUndefined()
  })

  it.each([
    [
      'a rank that never reported',
      [welcome[0]!, '0 end 0 code 0 10'],
      {},
      'E_MPI_WORLD',
      /of 2 ranks 1 have begun and 1 have ended/,
    ],
    [
      'a world of another size',
      ['0 hello 0 1 0 100 1', '0 end 0 code 0 10', '1 hello 1 1 0 1 1', '1 end 1 code 0 1'],
      {},
      'E_MPI_WORLD',
      /worlds of 1/,
    ],
    [
      'a daemon that was lost',
      well,
      { lost: [lost(1, { code: 137, signal: null })] },
      'E_MPI_DAEMON',
      /node 1 \(host2\).*SIGKILL/,
    ],
    ['a channel that ended badly', well, { lost: [lost(1, { code: 1, signal: null })] }, 'E_MPI_DAEMON', /exit code 1/],
    [
      'another MPI',
      [...well, '0 lib 0 /usr/lib/libmpich.so.12'],
      {},
      'E_MPI_WORLD',
      /another MPI \(\/usr\/lib\/libmpich/,
    ],
    ['its own failure', well, { exitCode: 213, stderr: 'no route' }, 'E_MPI_LAUNCHER', /exit code 213/],
    ['its death', welcome, { exitCode: null }, 'E_MPI_LAUNCHER', /SIGKILL/],
    ['too long', welcome, { stopped: 'late' as const, running: [0, 1] }, 'E_MPI_TIMEOUT', /rank 0, 1 had not ended/],
  ])('%s', (_, lines, end, code, message) => {
    expect(came(lines, end)).toMatchObject({ code, message: expect.stringMatching(message) })
  })
})

describe('the rank that is to blame', () => {
  const blame = (lines: string[], end: Parameters<typeof came>[1] = {}, launcher?: keyof typeof versions) => {
    const error = came([...welcome, ...lines], { exitCode: 1, ...end }, launcher)
    return { rank: error?.rank, casualty: casualtyOf(error), what: error?.what }
  }

  it('failed by itself, and was not merely ended because of another', () => {
    expect(blame(['0 end 0 signal 15 10', '1 tail 1 bad input', '1 end 1 code 3 11'])).toMatchObject({
      rank: 1,
      casualty: { kind: 'process', node: 1, host: 'host2', rank: 1, pid: 200, exitCode: 3, lastLines: ['bad input'] },
    })
    expect(blame(['0 end 0 signal 9 10', '1 end 1 signal 11 11'])).toMatchObject({
      rank: 1,
      casualty: { signal: 'SIGSEGV' },
    })
  })

  it('is not the one that only lost a connection', () => {
    expect(blame(['0 end 0 code 14 10', '1 end 1 code 3 11']).rank).toBe(1)
    expect(
      blame(['0 tail 0 recv failed: Connection reset by peer', '0 end 0 code 1 10', '1 end 1 code 3 11'], {}, 'hydra')
        .rank,
    ).toBe(1)
    // MPICH's own crash, when another rank left without a word to it.
    expect(blame(['0 end 0 signal 11 10', '1 end 1 code 3 11'], {}, 'hydra').rank).toBe(1)
    expect(blame(['0 end 0 signal 11 10', '1 tail 1 bad', '1 end 1 signal 11 11'], {}, 'hydra').rank).toBe(1)
    const stderr = '[h:0] *** An error occurred in Socket closed\n[h:0] *** reported by process [2781609985,0]\n'
    expect(blame(['0 tail 0 hello', '0 end 0 code 1 10', '1 end 1 code 3 11'], { stderr }).rank).toBe(1)
    expect(blame(['0 end 0 code 14 10', '1 end 1 signal 9 11']).rank).toBe(1)
  })

  it('called MPI_Abort, although the launcher killed it first', () => {
    const stderr = 'Abort(7) on node 1: application called MPI_Abort(MPI_COMM_WORLD, 7) - process 1\n'
    expect(blame(['0 end 0 signal 9 10', '1 end 1 signal 9 11'], { stderr }, 'hydra')).toMatchObject({
      rank: 1,
      what: expect.stringContaining('called MPI_Abort with 7'),
      casualty: { exitCode: 7 },
    })
    // The launcher may end before it has passed on the rank's last words, which its wrapper has kept.
    const own =
      '1 tail 1 Abort(7) on node 1 (rank 1 in comm 0): application called MPI_Abort(comm=0x44000000, 7) - process 1'
    expect(blame(['0 end 0 signal 9 10', own, '1 end 1 signal 9 11'], {}, 'hydra')).toMatchObject({
      rank: 1,
      casualty: { exitCode: 7 },
    })
  })

  it('is the first by its own clock, whoever was heard of first', () => {
    const late = [...welcome.slice(1), '1 hello 0 2 1 100 90000', '1 end 0 signal 9 40', '1 end 1 signal 9 12']
    expect(came(late, { exitCode: 1 })).toMatchObject({ rank: 1 })
  })

  it('is found by the best evidence that there is', () => {
    // On one host, whose clock orders them.
    const near = [...welcome.slice(1), '1 hello 0 2 1 100 90000']
    const by = (one: string, other: string, launcher?: keyof typeof versions) =>
      came([...near, `1 end 0 ${one}`, `1 end 1 ${other}`], { exitCode: 1 }, launcher)?.rank
    // Killed well before another one failed, or about when it did.
    expect(by('signal 9 10', 'code 3 100')).toBe(0)
    expect(by('signal 9 10', 'code 3 30')).toBe(1)
    expect(by('signal 9 10', 'code 3 100', 'hydra')).toBe(1)
    // Killed, and else only echoes; echoes alone; none but whom the launcher ended.
    expect(by('code 14 10', 'signal 9 300')).toBe(1)
    expect(by('signal 15 10', 'code 14 11')).toBe(1)
    expect(by('signal 15 12', 'signal 15 11')).toBe(1)
  })

  it('is on the host that Hydra ended the others for', () => {
    const stderr =
      '=   BAD TERMINATION OF ONE OF YOUR APPLICATION PROCESSES\n=   PID 200 RUNNING AT 10.0.0.11\n=   EXIT CODE: 9\n'
    const killed = ['0 end 0 signal 9 10', '1 end 1 signal 9 11']
    expect(blame(killed, { stderr }, 'hydra').rank).toBe(1)
    expect(blame(killed, {}, 'hydra').rank).toBe(0)
  })

  it('went with a wrapper that was killed', () => {
    expect(blame(['1 gone 1'])).toMatchObject({ rank: 1, casualty: { signal: 'SIGKILL' } })
  })

  it('could not begin', () => {
    expect(blame(['1 end 1 exec 2 1']).what).toMatch(/rank 1 .* its program cannot be started/)
  })

  it('gives way to the daemon whose death ended it', () => {
    const error = came([...welcome, '1 end 1 code 195 10'], {
      exitCode: 1,
      lost: [lost(1, { code: null, signal: 'SIGKILL' })],
    })
    expect(error).toMatchObject({ code: 'E_MPI_DAEMON', node: 1 })
  })

  it('gives way to a launcher that was killed, but not to one that crashed over it', () => {
    const end = { exitCode: null, endedAt: performance.now() + 200 }
    const lines = [...welcome, '1 end 1 code 3 10']
    expect(came(lines, end)).toMatchObject({ code: 'E_MPI_LAUNCHER' })
    expect(came(lines, { ...end, signal: 'SIGSEGV' })).toMatchObject({ code: 'E_MPI_RANK', rank: 1 })
  })

  it('gives way to a daemon that another one had started, by the code of those that lost it', () => {
    const lines = [...welcome, '1 end 1 code 195 10']
    expect(came(lines, { exitCode: 1, reached: new Set() })).toMatchObject({ code: 'E_MPI_DAEMON', node: 1 })
    expect(came(lines, { exitCode: 1 })).toMatchObject({ code: 'E_MPI_RANK', rank: 1 })
  })
})
