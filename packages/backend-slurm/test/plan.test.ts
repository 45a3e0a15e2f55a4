import type { StepDescription } from '@gangflow/core/backend'
import { expect, it } from 'vitest'
import { slurmEnv } from '../src/command.js'
import { planSrun, withoutStep } from '../src/gang.js'
import { readOptions } from '../src/options.js'
import { planJob } from '../src/plan.js'

const step = (over: Partial<StepDescription> = {}): StepDescription => ({
  name: 'train',
  location: { file: '/home/ann/my flow/flow.ts', line: 3 },
  shape: '',
  transition: { kind: 'linear', target: 'end' },
  join: false,
  from: ['start'],
  resources: {},
  environment: {},
  plugins: [],
  ...over,
})
const request = {
  flow: 'Train',
  run: '1763',
  count: 1,
  argv: ['/usr/bin/node', '/home/ann/my flow/job.cjs', 'dir:/shared/.gangflow', 'Train', '1763', 'a1b2'],
  output: { directory: '/shared/.gangflow/scratch/jobs/Train/1763', prefix: 'a1b2' },
  datastore: '/shared/.gangflow/scratch',
  workdir: '/home/ann/my flow',
}

it('the job of a gang that goes on with fewer is not ended for a lost node', () => {
  const script = (gang: StepDescription['gang']) =>
    planJob({ ...request, step: step(gang && { gang }), gangSize: 4 }, {}).script
  const holds = [{ minNodes: 3 }, { minNodes: 4 }, { maxRestarts: 2 }, undefined].map((gang) =>
    /--no-kill/.test(script(gang)),
  )
  expect(holds).toEqual([true, false, false, false])
})

it('a gang is one job of as many nodes', () => {
  const options = { partition: 'gpu', time: '1-12:00:00', gres: 'gpu:a100:2', exclusive: true }
  const own = step({
    plugins: [{ name: 'slurm', options, needs: { gang: false } }],
    resources: { cpu: 8, gpu: 2, memory: 16_000 },
  })
  expect(
    planJob({ ...request, step: own, gangSize: 4 }, { account: 'physics', partition: 'main' }),
  ).toMatchInlineSnapshot(`
    {
      "argv": [
        "sbatch",
        "--parsable",
      ],
      "backend": "slurm",
      "count": 1,
      "environment": [
        "HOME",
        "PATH",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "LC_ALL",
        "TZ",
      ],
      "output": {
        "directory": "/shared/.gangflow/scratch/jobs/Train/1763",
        "prefix": "a1b2",
      },
      "script": "#!/bin/sh
    #SBATCH --job-name=Train.train
    #SBATCH --comment="gangflow Train/1763 a1b2"
    #SBATCH --chdir="/home/ann/my flow"
    #SBATCH --output=/shared/.gangflow/scratch/jobs/Train/1763/a1b2-0
    #SBATCH --open-mode=append
    #SBATCH --export=ALL
    #SBATCH --nodes=4
    #SBATCH --ntasks-per-node=1
    #SBATCH --requeue
    #SBATCH --signal=B:USR2@60
    #SBATCH --cpus-per-task=8
    #SBATCH --mem=16000M
    #SBATCH --time=1-12:00:00
    #SBATCH --partition=gpu
    #SBATCH --account=physics
    #SBATCH --gres=gpu:a100:2
    #SBATCH --exclusive
    trap '' USR2
    for path in /shared/.gangflow/scratch /usr/bin/node '/home/ann/my flow/job.cjs'; do
      if [ ! -e "$path" ]; then echo "gangflow: $(hostname) does not see $path" >&2; exit 66; fi
    done
    exec /usr/bin/node '/home/ann/my flow/job.cjs' dir:/shared/.gangflow Train 1763 a1b2 "\${SLURM_ARRAY_TASK_ID:-0}" "\${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}"
    ",
    }
  `)
})

it('tasks that are alike are one array, of which so many run at once', () => {
  const { script } = planJob({ ...request, step: step({ timeoutMs: 60_000 }), count: 500, atOnce: 20 }, {})
  const asked = script.match(/^#SBATCH --(array|output|time|nodes)=.*$/gm)
  expect(asked).toEqual([
    '#SBATCH --output=/shared/.gangflow/scratch/jobs/Train/1763/a1b2-%a',
    '#SBATCH --nodes=1',
    '#SBATCH --array=0-499%20',
    '#SBATCH --time=3',
  ])
})

it('agents are the tasks of one step', () => {
  const address = { flow: 'Train', run: '1763', step: 'train', task: '1', attempt: 0 }
  const plan = planSrun({ address, step: step(), size: 2, resources: {} }, ['lab0', 'lab1', 'lab2'])
  expect(plan.argv.join(' ')).toMatch(
    /^srun --nodes=2 --ntasks=2 --ntasks-per-node=1 --kill-on-bad-exit=0 --wait=0 --no-kill /,
  )
  expect(plan.members).toEqual([
    { memberId: 'm0', host: 'lab0' },
    { memberId: 'm1', host: 'lab1' },
  ])
  expect(() => planSrun({ address, step: step(), size: 4, resources: {} }, ['lab0'])).toThrow(
    /asks for 4 members, and this job has 1 node$/m,
  )
})

it("a person's variables do not overrule what a step asks for, nor what is Slurm's to tell", () => {
  const { script } = planJob({ ...request, step: step() }, { partition: 'gpu', mem: '4G' })
  const kept = { PATH: '/bin', SLURM_CONF: '/etc/slurm.conf', SBATCH_ACCOUNT: 'physics' }
  const dropped = {
    ...{
      SBATCH_PARTITION: 'cpu',
      SBATCH_MEM_PER_CPU: '1G',
      SBATCH_EXPORT: 'NONE',
      SBATCH_NO_REQUEUE: '1',
      SBATCH_WAIT: '1',
    },
    ...{ SBATCH_ARRAY_INX: '0-9', SQUEUE_STATES: 'RUNNING', SLURM_TIME_FORMAT: 'relative', EDITOR: 'vi' },
  }
  expect(slurmEnv({ ...kept, ...dropped }, script)).toEqual(kept)
})

it('accelerators are asked for once', () => {
  const asks = (gres: string) => planJob({ ...request, step: step({ resources: { gpu: 2 } }) }, { gres }).script
  expect(asks('gpu:a100:2')).not.toContain('--gpus-per-node')
  expect(asks('nvme:1')).toContain('--gpus-per-node=2')
})

it.each([
  [{ partion: 'gpu' }, "there is no option 'partion'"],
  [{ time: 'soon' }, 'option time is "soon"'],
  [{ partition: 'a\n#SBATCH --uid=0' }, 'option partition'],
  [{ cpusPerTask: '0' }, 'option cpusPerTask is "0"'],
  [{ exclusive: 'maybe' }, 'option exclusive'],
  [{ sbatchArgs: ['rm -rf'] }, 'option sbatchArgs'],
  [{ sbatchArgs: '--nodes=3' }, "option sbatchArgs has --nodes, which is the backend's own"],
  [{ sbatchArgs: ['--switches=1', '--export=NONE'] }, 'has --export'],
])('%j is refused', (options, what) => {
  expect(() => readOptions(options)).toThrow(what)
})

it('options of a command line are read as what they mean', () => {
  expect(readOptions({ cpusPerTask: '4', exclusive: 'true', sbatchArgs: '--switches=1 --wckey=x' })).toEqual({
    cpusPerTask: 4,
    exclusive: true,
    sbatchArgs: ['--switches=1', '--wckey=x'],
  })
})

it('starts a step without what a job or a person has said of other steps', () => {
  const kept = { SLURM_JOB_ID: '7', SLURM_CONF: '/etc/slurm.conf', SLURM_CPU_FREQ_REQ: 'low', HOME: '/h' }
  const left = {
    SLURM_NTASKS: '4',
    SLURM_LABELIO: '1',
    SLURM_STDINMODE: 'none',
    SLURM_STDOUTMODE: 'out',
    PMIX_RANK: '0',
  }
  expect(withoutStep({ ...kept, ...left })).toEqual(kept)
})
