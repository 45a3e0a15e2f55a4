import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { discover } from '../../src/discovery/discover.js'

type Env = Record<string, string | undefined>
const slurm = JSON.parse(readFileSync(new URL('./fixtures/slurm.json', import.meta.url), 'utf8')) as Record<string, Env>
const found = (env: Env, files: Record<string, string> = {}, hostname = 'here') =>
  discover({
    env,
    hostname,
    readFile: (path) => {
      if (files[path] === undefined) throw new Error('ENOENT')
      return files[path]
    },
  })
const refused = (env: Env, files?: Record<string, string>, hostname?: string) => {
  try {
    found(env, files, hostname)
  } catch (error) {
    return `${(error as { code: string }).code}: ${(error as { what: string }).what}`
  }
  return 'nothing'
}

describe('Slurm', () => {
  it('tells a batch script, on the first node, the whole job and that it was requeued', () => {
    expect(found(slurm['batch']!)).toEqual({
      engine: 'slurm',
      job: '1',
      restarts: 1,
      size: 3,
      index: 0,
      task: 0,
      hosts: [
        { host: 'lab0', slots: 3 },
        { host: 'lab1', slots: 1 },
        { host: 'lab2', slots: 1 },
      ],
      main: { index: 0, host: 'lab0' },
      slots: 3,
    })
  })

  it('reads the batch script alike where its step has a number, as 26.05.5 gives it', () => {
    expect(found({ ...slurm['batch'], SLURM_STEP_ID: '-5', SLURM_STEPID: '-5' })).toEqual(found(slurm['batch']!))
  })

  it('tells each task of a step its node, and its place on it', () => {
    expect(found(slurm['step0']!)).toMatchObject({ index: 0, task: 0, size: 3, slots: 3 })
    expect(found(slurm['step2']!)).toMatchObject({ index: 0, task: 2 })
    expect(found(slurm['step4']!)).toMatchObject({ index: 2, task: 0, slots: 1 })
  })

  it('tells a step of fewer nodes of these alone, though most variables are the job’s', () => {
    const part = found(slurm['part1']!)
    expect(part).toMatchObject({ size: 2, index: 1, task: 0 })
    expect(part.hosts).toEqual([
      { host: 'lab0', slots: 3 },
      { host: 'lab1', slots: 1 },
    ])
  })

  it('tells the shell of salloc, on a login node, that it is on none of them; and a step in it its own', () => {
    const { index, slots, ...rest } = found(slurm['salloc']!)
    expect({ index, slots }).toEqual({ index: undefined, slots: undefined })
    expect(rest).toMatchObject({ job: '2', size: 2, hosts: [{ host: 'lab1' }, { host: 'lab2' }] })
    expect(found(slurm['insalloc1']!)).toMatchObject({ size: 2, index: 1 })
  })

  it('takes the shell of an interactive step for what it is: on the first node, with the whole job', () => {
    const env = {
      ...slurm['salloc'],
      SLURM_STEP_ID: '4294967290',
      SLURM_STEP_NODELIST: 'lab1',
      SLURM_STEP_NUM_NODES: '1',
    }
    expect(found({ ...env, SLURMD_NODENAME: 'lab1', SLURM_NODEID: '0' })).toMatchObject({ size: 2, index: 0 })
  })

  // gist.github.com/jerinphilip/212b3814264c3b8da512afc2cfda4bcb, with what sbatch(1) says of GPUs and of the end.
  it('reads nodes in brackets, GPUs and the end of the job', () => {
    const env = {
      SLURM_JOB_ID: '200505',
      SLURM_JOB_NODELIST: 'gnode[10,20,25,37]',
      SLURM_JOB_NUM_NODES: '4',
      SLURM_JOB_CPUS_PER_NODE: '4(x4)',
      SLURM_TASKS_PER_NODE: '1(x4)',
      SLURMD_NODENAME: 'gnode10',
      SLURM_NODEID: '0',
      SLURM_CPUS_ON_NODE: '4',
      SLURM_GPUS_ON_NODE: '3',
      SLURM_GPUS_PER_NODE: 'a100:2,v100:1',
      SLURM_JOB_END_TIME: '1795291200',
    }
    const job = found(env)
    expect(job).toMatchObject({ index: 0, gpus: 3, slots: 4, deadline: 1_795_291_200_000, main: { host: 'gnode10' } })
    expect(job.hosts![3]).toEqual({ host: 'gnode37', slots: 4, gpus: 3 })
  })

  it.each([
    ['E_DISCOVERY_MISSING', { SLURM_JOB_NODELIST: undefined, SLURM_NODELIST: undefined }, 'SLURM_JOB_NODELIST'],
    ['E_DISCOVERY_CONTRADICTION', { SLURM_JOB_NUM_NODES: '4' }, 'is 4, but SLURM_JOB_NODELIST has 3 hosts'],
    ['E_DISCOVERY_CONTRADICTION', { SLURMD_NODENAME: 'other' }, 'other, which is none of lab0, lab1, lab2'],
    ['E_DISCOVERY_CONTRADICTION', { SLURM_NODEID: '2' }, 'SLURM_NODEID is 2, but SLURMD_NODENAME lab0 is node 0'],
    ['E_DISCOVERY_CONTRADICTION', { SLURM_JOB_CPUS_PER_NODE: '3(x2)' }, 'tells of 2 nodes'],
    ['E_DISCOVERY_VALUE', { SLURM_JOB_NODELIST: 'lab[0-' }, "'lab[0-'"],
    ['E_DISCOVERY_VALUE', { SLURM_RESTART_COUNT: '-1' }, 'SLURM_RESTART_COUNT'],
    ['E_DISCOVERY_VALUE', { SLURM_GPUS_PER_NODE: 'many' }, 'SLURM_GPUS_PER_NODE'],
    ['E_DISCOVERY_SHAPE', { SLURM_HET_SIZE: '2' }, '2 components'],
  ])('is refused by name: %s %j', (code, more, text) => {
    const said = refused({ ...slurm['batch'], ...more })
    expect(said).toContain(code)
    expect(said).toContain(text)
  })
})

describe('PBS', () => {
  const env = { PBS_JOBID: '1234.pbs01', PBS_NODEFILE: '/var/spool/pbs/aux/1234.pbs01' }
  const files = { [env.PBS_NODEFILE]: 'n01.cluster\nn01.cluster\nn02.cluster\nn02.cluster\n' }

  it('has a line for each process: hosts in their order, this one by its name', () => {
    expect(found({ ...env, PBS_NODENUM: '1' }, files, 'n02')).toEqual({
      engine: 'pbs',
      job: '1234.pbs01',
      restarts: 0,
      size: 2,
      index: 1,
      task: 0,
      hosts: [
        { host: 'n01.cluster', slots: 2 },
        { host: 'n02.cluster', slots: 2 },
      ],
      main: { index: 0, host: 'n01.cluster' },
      slots: 2,
    })
    expect(found({ ...env, NCPUS: '16' }, files, 'n01').slots).toBe(16)
    expect(found(env, files, 'login').index).toBeUndefined()
  })

  it("counts Torque's GPUs", () => {
    const gpus = { ...files, '/g': 'n01.cluster-gpu0\nn02.cluster-gpu0\nn02.cluster-gpu1\n' }
    expect(found({ ...env, PBS_GPUFILE: '/g' }, gpus, 'n02').gpus).toBe(2)
  })

  it('is refused by name where the file is not there, or does not fit', () => {
    expect(refused(env)).toContain('E_DISCOVERY_MISSING: PBS_NODEFILE names /var/spool/pbs/aux/1234.pbs01')
    expect(refused({ ...env, PBS_NUM_NODES: '3' }, files)).toContain('PBS_NUM_NODES is 3, but PBS_NODEFILE has 2')
    expect(refused({ ...env, PBS_NODENUM: '0' }, files, 'n02')).toContain('E_DISCOVERY_CONTRADICTION')
  })
})

describe('LSF', () => {
  // The forms of "Environment variables", IBM Spectrum LSF reference.
  const env = { LSB_JOBID: '101', LSB_JOBINDEX: '0', LSB_MCPU_HOSTS: 'hostA 2 hostB 4' }

  it('tells hosts and slots in a file, in pairs or one by one', () => {
    expect(found(env, {}, 'hostB')).toEqual({
      engine: 'lsf',
      job: '101',
      restarts: 0,
      size: 2,
      index: 1,
      task: 0,
      hosts: [
        { host: 'hostA', slots: 2 },
        { host: 'hostB', slots: 4 },
      ],
      main: { index: 0, host: 'hostA' },
      slots: 4,
    })
    const file = { ...env, LSB_DJOB_RANKFILE: '/f', LSB_MCPU_HOSTS: undefined }
    expect(found(file, { '/f': 'a\na\nb\n' }).hosts).toEqual([
      { host: 'a', slots: 2 },
      { host: 'b', slots: 1 },
    ])
    expect(found({ LSB_JOBID: '7', LSB_JOBINDEX: '3', LSB_HOSTS: 'a b b' })).toMatchObject({ job: '7[3]', size: 2 })
    expect(found({ ...env, LSB_DJOB_RANKFILE: '/not/here' }).size).toBe(2)
  })

  it('leaves out the node from which jsrun launches', () => {
    const env = { LSB_JOBID: '5', LSB_DJOB_RANKFILE: '/f', JSM_NAMESPACE_SIZE: '2', JSM_NAMESPACE_RANK: '1' }
    const job = found(env, { '/f': 'batch5\nh36n03\nh36n03\nh36n04\nh36n04\n' }, 'unknown')
    expect(job).toMatchObject({ size: 2, index: 1, main: { host: 'h36n03' } })
  })

  it('is refused by name', () => {
    expect(refused({ LSB_JOBID: '1' })).toContain('LSB_DJOB_RANKFILE or LSB_MCPU_HOSTS or LSB_HOSTS is not set')
    expect(refused({ LSB_JOBID: '1', LSB_DJOB_RANKFILE: '/f' })).toContain('/f, which cannot be read here')
    expect(refused({ LSB_JOBID: '1', LSB_MCPU_HOSTS: 'a 2 b' })).toContain('E_DISCOVERY_VALUE')
  })
})

describe('Kubernetes', () => {
  /** As a JobSet of JobSet 0.12.0 writes them (one role `w`, its second restart). */
  const annotations = [
    ['jobset-name', 'train'],
    ['jobset-uid', '6d9d7f1e-1'],
    ['replicatedjob-name', 'w'],
    ['replicatedjob-replicas', '1'],
    ['job-index', '0'],
    ['job-global-index', '0'],
    ['global-replicas', '1'],
    ['restart-attempt', '2'],
  ]
    .map(([key, value]) => `jobset.sigs.k8s.io/${key}="${value}"`)
    .join('\n')
  const etc = '10.244.1.7\ttrain-w-0-3.workers.default.svc.cluster.local\ttrain-w-0-3\n'
  const files = { '/etc/podinfo/annotations': annotations, '/etc/hosts': `127.0.0.1 localhost\n${etc}` }
  const env = { JOB_COMPLETION_INDEX: '3', GANGFLOW_NUM_NODES: '4' }

  it('tells a pod of a JobSet its index, restarts, and the names of the others', () => {
    expect(found(env, files, 'train-w-0-3')).toEqual({
      engine: 'jobset',
      job: '6d9d7f1e-1',
      restarts: 2,
      size: 4,
      index: 3,
      task: 0,
      hosts: [0, 1, 2, 3].map((pod) => ({ host: `train-w-0-${pod}.workers` })),
      main: { index: 0, host: 'train-w-0-0.workers' },
    })
  })

  it('numbers the pods of several jobs through; the names of several roles are not known', () => {
    const many = annotations
      .replace('replicas="1"', 'replicas="2"')
      .replace('global-replicas="1"', 'global-replicas="2"')
    const second = { '/etc/podinfo/annotations': many.replace('global-index="0"', 'global-index="1"') }
    expect(found({ ...env, JOB_COMPLETION_INDEX: '1' }, second)).toMatchObject({
      index: 3,
      size: 4,
      main: { host: 'train-w-0-0.train' },
    })
    const roles = { '/etc/podinfo/annotations': annotations.replace('global-replicas="1"', 'global-replicas="2"') }
    expect(found({ ...env, JOB_COMPLETION_INDEX: '1' }, roles).hosts).toBeUndefined()
  })

  it('takes the same from variables', () => {
    const told = { ...env, JOBSET_NAME: 'train', REPLICATED_JOB_NAME: 'w', JOBSET_RESTART_ATTEMPT: '1' }
    expect(found(told)).toMatchObject({
      engine: 'jobset',
      job: 'train',
      restarts: 1,
      index: 3,
      hosts: expect.any(Array),
    })
  })

  it('tells a pod of a plain Indexed Job what its hostname and /etc/hosts say', () => {
    const hosts = { '/etc/hosts': '10.244.1.7\tfit-3.fit-svc.ml.svc.cluster.local\tfit-3\n' }
    expect(found(env, hosts, 'fit-3')).toMatchObject({
      engine: 'indexed-job',
      job: 'fit',
      index: 3,
      main: { host: 'fit-0.fit-svc' },
    })
    expect(found(env, {}, 'fit-3').hosts).toBeUndefined()
  })

  it('is refused by name', () => {
    expect(refused({ JOB_COMPLETION_INDEX: '0' }, files)).toContain('GANGFLOW_NUM_NODES is not set')
    expect(refused({ ...env, JOB_COMPLETION_INDEX: '4' }, files)).toContain('each of 1 jobs has 4 pods')
    expect(refused(env, {}, 'ip-10-0-0-1')).toContain('JOB_NAME is not set')
    const three = annotations.replace('global-replicas="1"', 'global-replicas="3"')
    expect(refused(env, { '/etc/podinfo/annotations': three })).toContain('3 jobs of the JobSet cannot share alike')
  })
})

describe('AWS Batch', () => {
  // docs.aws.amazon.com/batch/latest/userguide/mnp-env-vars.html
  const main = {
    AWS_BATCH_JOB_ID: '4f1d7c30-8d0f#0',
    AWS_BATCH_JOB_ATTEMPT: '2',
    AWS_BATCH_JOB_MAIN_NODE_INDEX: '0',
    AWS_BATCH_JOB_NODE_INDEX: '0',
    AWS_BATCH_JOB_NUM_NODES: '10',
  }
  const child = {
    ...main,
    AWS_BATCH_JOB_ID: '4f1d7c30-8d0f#9',
    AWS_BATCH_JOB_NODE_INDEX: '9',
    AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS: '10.0.3.17',
  }

  it('tells the main node nothing of where it is, the others its address', () => {
    const common = { engine: 'aws-batch', job: '4f1d7c30-8d0f', restarts: 1, size: 10, task: 0 }
    expect(found(main)).toEqual({ ...common, index: 0, main: { index: 0 } })
    expect(found(child)).toEqual({ ...common, index: 9, main: { index: 0, host: '10.0.3.17' } })
  })

  it('is refused by name', () => {
    expect(refused({ ...child, AWS_BATCH_JOB_MAIN_NODE_PRIVATE_IPV4_ADDRESS: '' })).toContain('E_DISCOVERY_MISSING')
    expect(refused({ ...child, AWS_BATCH_JOB_NODE_INDEX: '10' })).toContain('is 10, but there are 10 nodes')
    expect(refused({ ...child, AWS_BATCH_JOB_NODE_INDEX: '3' })).toContain('ends with #9')
    expect(refused({ ...main, AWS_BATCH_JOB_NUM_NODES: 'ten' })).toContain("'ten'")
  })
})

describe('SageMaker', () => {
  const env = {
    SM_HOSTS: '["algo-1","algo-10","algo-2"]',
    SM_CURRENT_HOST: 'algo-2',
    SM_NUM_GPUS: '8',
    SM_NUM_CPUS: '96',
    TRAINING_JOB_NAME: 'digits-1',
  }
  const config = JSON.stringify({ current_host: 'algo-2', hosts: ['algo-1', 'algo-2'], network_interface_name: 'eth0' })
  const files = { '/opt/ml/input/config/resourceconfig.json': config }

  it('orders the hosts by their numbers', () => {
    expect(found(env)).toEqual({
      engine: 'sagemaker',
      job: 'digits-1',
      restarts: 0,
      size: 3,
      index: 1,
      task: 0,
      hosts: [{ host: 'algo-1' }, { host: 'algo-2' }, { host: 'algo-10' }],
      main: { index: 0, host: 'algo-1' },
      slots: 96,
      gpus: 8,
    })
  })

  it('has in every image the file alone', () => {
    const arn = 'arn:aws:sagemaker:eu-west-1:123456789012:training-job/digits-1'
    expect(found({ TRAINING_JOB_ARN: arn }, files)).toMatchObject({ job: 'digits-1', index: 1, size: 2 })
  })

  it('is refused by name', () => {
    expect(refused({ ...env, SM_CURRENT_HOST: 'algo-1' }, files)).toContain('resourceconfig.json says algo-2')
    expect(refused({ ...env, SM_CURRENT_HOST: 'algo-7' })).toContain('algo-7, which is none of')
    expect(refused({ ...env, SM_HOSTS: 'algo-1,algo-2' })).toContain('E_DISCOVERY_VALUE')
    expect(refused({ SM_HOSTS: '["a"]' })).toContain('SM_CURRENT_HOST is not set')
  })
})

describe('where no engine is', () => {
  it('is one node, this machine', () => {
    expect(found({})).toMatchObject({ engine: 'local', size: 1, index: 0, hosts: [{ host: 'here' }] })
  })

  it('may be a list of hosts', () => {
    expect(found({ GANGFLOW_HOSTS: 'a,b[1-2]', GANGFLOW_NODE: '2' })).toMatchObject({ size: 3, index: 2 })
    expect(found({ GANGFLOW_HOSTS: 'a,here' })).toMatchObject({ engine: 'host-list', index: 1, main: { host: 'a' } })
    expect(found({ GANGFLOW_HOSTS: 'a,b' }).index).toBeUndefined()
    expect(refused({ GANGFLOW_HOSTS: 'a,b', GANGFLOW_NODE: '2' })).toContain('E_DISCOVERY_CONTRADICTION')
  })

  it('is asked of the person where the variables are of several', () => {
    const both = { ...slurm['step4'], PBS_JOBID: '1' }
    expect(refused(both)).toContain('E_DISCOVERY_SEVERAL: the environment has variables of several engines: slurm, pbs')
    expect(found({ ...both, GANGFLOW_ENGINE: 'slurm' }).index).toBe(2)
    expect(found({ ...both, GANGFLOW_ENGINE: 'local' }).size).toBe(1)
    expect(refused({ ...both, GANGFLOW_ENGINE: 'condor' })).toContain('one of local, slurm')
    expect(found({ ...slurm['batch'], GANGFLOW_HOSTS: 'lab0,lab1' })).toMatchObject({ engine: 'host-list', size: 2 })
  })
})
