import { describe, expect, it } from 'vitest'
import { readVersion } from '../src/implementation.js'
import { type PlanInput, planLaunch } from '../src/launch-plan.js'
import type { MpiRunOptions } from '../src/options.js'
import { settle } from '../src/settings.js'

const versions = {
  orte: 'mpirun (Open MPI) 4.1.4\n',
  prrte: 'mpirun (Open MPI) 5.0.11\n',
  hydra: 'HYDRA build details:\n    Version:   5.0.2\n',
  intel: 'Intel(R) MPI Library for Linux* OS, Version 2021.11 Build 20231005 (id: 74c4a23)\n',
}

const four = [1, 2, 3, 4].map((number, node) => ({
  node,
  host: `host${number}`,
  addresses: [`10.0.0.1${number}`],
  interface: 'eth0',
  slots: 2,
}))
const laptop = [0, 1, 2, 3].map((node) => ({ node, host: 'laptop', addresses: ['127.0.0.1'], slots: 2 }))

function plan(implementation: keyof typeof versions, call: Partial<MpiRunOptions> = {}, more: Partial<PlanInput> = {}) {
  const nodes = more.nodes ?? four
  return planLaunch({
    implementation: readVersion('mpirun', versions[implementation]),
    bin: '/opt/mpi/bin',
    settings: settle({}, 'mpirun', { program: './a.out --size 3', ...call }),
    nodes,
    places: { directory: '/tmp/gf-mpi-1', shared: '/dev/shm/gf-mpi-1' },
    flowDir: '/home/me/flow',
    root: false,
    machines: nodes.map(() => ({ cores: 8, fabric: false })),
    subnets: ['127.0.0.1/8', '10.0.0.11/24', '172.17.0.1/16'],
    env: {},
    ...more,
  })
}

describe('a launch on four hosts', () => {
  it('Open MPI 4', () => {
    const { argv, env, hostfile, cwd, np, rankEnv } = plan('orte')
    expect(hostfile).toBe('10.0.0.11 slots=2\n10.0.0.12 slots=2\n10.0.0.13 slots=2\n10.0.0.14 slots=2\n')
    expect(argv.join(' ')).toBe(
      '/opt/mpi/bin/mpirun --hostfile /tmp/gf-mpi-1/hosts -np 8 /tmp/gf-mpi-1/bin/rank ./a.out --size 3',
    )
    expect(env).toEqual({
      OMPI_MCA_plm: 'rsh',
      OMPI_MCA_plm_rsh_agent: '/tmp/gf-mpi-1/bin/shim',
      OMPI_MCA_plm_rsh_no_tree_spawn: '1',
      OMPI_MCA_orte_leave_session_attached: '1',
      OMPI_MCA_ras: '^slurm,tm,pbs,lsf,gridengine,alps,loadleveler,flux',
      OMPI_MCA_orte_tmpdir_base: '/tmp/gf-mpi-1/tmp',
      OMPI_MCA_oob_tcp_if_include: '10.0.0.0/24',
      OMPI_MCA_pml: 'ob1',
      OMPI_MCA_btl: 'tcp,self,vader',
      OMPI_MCA_btl_tcp_if_include: '10.0.0.0/24',
      OMPI_MCA_btl_vader_backing_directory: '/dev/shm/gf-mpi-1',
    })
    expect({ cwd, np, rankEnv }).toEqual({ cwd: '/home/me/flow', np: 8, rankEnv: {} })
  })

  it('Open MPI 5', () => {
    const { argv, env } = plan('prrte')
    expect(argv.join(' ')).toBe(
      '/opt/mpi/bin/mpirun --hostfile /tmp/gf-mpi-1/hosts -np 8 /tmp/gf-mpi-1/bin/rank ./a.out --size 3',
    )
    expect(env).toEqual({
      PRTE_MCA_plm: 'ssh',
      PRTE_MCA_plm_ssh_agent: '/tmp/gf-mpi-1/bin/shim',
      PRTE_MCA_plm_ssh_no_tree_spawn: '1',
      PRTE_MCA_ras: '^slurm,tm,pbs,lsf,gridengine,alps,loadleveler,flux',
      PRTE_MCA_prte_tmpdir_base: '/tmp/gf-mpi-1/tmp',
      PRTE_MCA_prte_if_include: 'eth0',
      OMPI_MCA_pml: 'ob1',
      OMPI_MCA_btl: 'tcp,self,sm',
      OMPI_MCA_btl_tcp_if_include: '10.0.0.0/24',
      OMPI_MCA_btl_sm_backing_directory: '/dev/shm/gf-mpi-1',
    })
  })

  it('MPICH', () => {
    const { argv, env, hostfile, rankEnv } = plan('hydra')
    expect(hostfile).toBe('10.0.0.11:2\n10.0.0.12:2\n10.0.0.13:2\n10.0.0.14:2\n')
    expect(argv.join(' ')).toBe(
      '/opt/mpi/bin/mpirun -f /tmp/gf-mpi-1/hosts -launcher ssh -launcher-exec /tmp/gf-mpi-1/bin/shim -rmk user ' +
        '-localhost 10.0.0.11 -genvnone -n 8 /tmp/gf-mpi-1/bin/rank ./a.out --size 3',
    )
    expect(env).toEqual({})
    expect(rankEnv).toEqual({ UCX_POSIX_DIR: '/dev/shm/gf-mpi-1', UCX_NET_DEVICES: 'eth0', FI_TCP_IFACE: 'eth0' })
  })

  it('Intel MPI', () => {
    const { argv, env, rankEnv } = plan('intel')
    expect(argv.join(' ')).toBe(
      '/opt/mpi/bin/mpiexec.hydra -f /tmp/gf-mpi-1/hosts -bootstrap ssh -bootstrap-exec /tmp/gf-mpi-1/bin/shim -iface eth0 ' +
        '-genvnone -n 8 /tmp/gf-mpi-1/bin/rank ./a.out --size 3',
    )
    expect(env).toEqual({ I_MPI_ROOT: '/opt/mpi' })
    expect(rankEnv).toMatchObject({ I_MPI_ROOT: '/opt/mpi', FI_TCP_IFACE: 'eth0' })
  })

  it('without IPv4 between them: by names and interface, and refused where Hydra cannot', () => {
    const nodes = four.map((node) => ({ ...node, addresses: [`fd00::${node.node + 1}`] }))
    const { hostfile, env } = plan('prrte', {}, { nodes })
    expect(hostfile).toMatch(/^host1 slots=2\nhost2 /)
    expect(env).toMatchObject({ PRTE_MCA_prte_if_include: 'eth0', OMPI_MCA_btl_tcp_if_include: 'eth0' })
    for (const name of ['hydra', 'intel'] as const)
      expect(() => plan(name, {}, { nodes })).toThrow(/speaks IPv4 only.*node 0 \(host1\), node 1/)
  })
})

describe('members that share a host', () => {
  it.each(['orte', 'prrte', 'hydra'] as const)(
    'are one line of the hostfile, and the remote shell is not needed: %s',
    (name) => {
      const { hostfile, world, argv, env } = plan(name, {}, { nodes: laptop })
      expect(hostfile).toBe(name === 'hydra' ? 'localhost:8\n' : 'localhost slots=8\n')
      expect(world.lines[0]!.members).toEqual([0, 1, 2, 3].map((node) => ({ node, first: node * 2, slots: 2 })))
      expect(JSON.stringify(env)).not.toMatch(/if_include/)
      // Each job would bind to the same first cores.
      if (name !== 'hydra') expect(argv).toContain('none')
    },
  )

  it('keep the order of their nodes, also among others', () => {
    const nodes = [four[0]!, four[1]!, { ...four[0]!, node: 2 }, { ...four[2]!, node: 3, slots: 1 }]
    expect(plan('prrte', {}, { nodes }).hostfile).toBe('10.0.0.11 slots=4\n10.0.0.12 slots=2\n10.0.0.13 slots=1\n')
  })
})

describe('what depends on the call and on the machines', () => {
  it('as root, Open MPI is told that it may', () => {
    const asked = { OMPI_ALLOW_RUN_AS_ROOT: '1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1' }
    for (const name of ['orte', 'prrte'] as const) expect(plan(name, {}, { root: true }).env).toMatchObject(asked)
    expect(plan('hydra', {}, { root: true }).env).toEqual({})
  })

  it('MPICH does not get the flag that only Open MPI knows', () => {
    expect(plan('hydra', { args: ['-n', '4', '--allow-run-as-root'] }).argv).not.toContain('--allow-run-as-root')
    expect(plan('orte', { args: ['--allow-run-as-root'] }).argv).toContain('--allow-run-as-root')
  })

  it('more ranks than slots: refused, or spread by what each understands', () => {
    expect(() => plan('orte', { np: 9 })).toThrow(
      expect.objectContaining({ code: 'E_MPI_SLOTS', fix: expect.stringContaining('oversubscribe: true') }),
    )
    const more = (name: keyof typeof versions) => plan(name, { np: 12, oversubscribe: true }).argv.join(' ')
    expect(more('orte')).toContain('-np 12 --oversubscribe')
    // Its own --oversubscribe would put all of them on the first host.
    expect(more('prrte')).toContain('-np 12 --map-by slot:OVERSUBSCRIBE')
    expect(more('hydra')).toContain('-n 12')
  })

  it('more ranks than cores: those that wait let others run', () => {
    const machines = four.map(() => ({ cores: 1, fabric: false }))
    expect(plan('prrte', {}, { machines }).env).toMatchObject({ OMPI_MCA_mpi_yield_when_idle: '1' })
    expect(plan('hydra', {}, { machines }).rankEnv).toMatchObject({ MPIR_CVAR_NOLOCAL: '1', UCX_TLS: 'tcp,self' })
    expect(
      plan('prrte', { np: 4 }, { machines, nodes: four.map((node) => ({ ...node, slots: 1 })) }).env,
    ).not.toHaveProperty('OMPI_MCA_mpi_yield_when_idle')
  })

  it('with a fabric of its own on some host, the transport is the library’s choice', () => {
    const machines = four.map((_, node) => ({ cores: 8, fabric: node === 2 }))
    expect(plan('prrte', {}, { machines }).env).not.toHaveProperty('OMPI_MCA_pml')
    expect(plan('hydra', {}, { machines }).rankEnv).toEqual({ UCX_POSIX_DIR: '/dev/shm/gf-mpi-1' })
  })

  it('what a person has set is left alone, but for the remote shell', () => {
    const env = { OMPI_MCA_btl: 'self,tcp', OMPI_MCA_btl_tcp_if_include: 'ib0', OMPI_MCA_plm_rsh_agent: 'ssh' }
    const planned = plan('orte', {}, { env }).env
    expect(planned).not.toHaveProperty('OMPI_MCA_btl')
    expect(planned).not.toHaveProperty('OMPI_MCA_btl_tcp_if_include')
    expect(planned).toHaveProperty('OMPI_MCA_plm_rsh_agent', '/tmp/gf-mpi-1/bin/shim')
    expect(plan('hydra', { env: { UCX_NET_DEVICES: 'ib0' } }).rankEnv).toMatchObject({ UCX_NET_DEVICES: 'ib0' })
    expect(
      plan('prrte', { args: ['--bind-to', 'core'] }, { nodes: laptop }).argv.filter((word) => word === '--bind-to'),
    ).toHaveLength(1)
  })

  it('from 256 hosts on the daemons start one another', () => {
    const many = (count: number) =>
      Array.from({ length: count }, (_, node) => ({
        node,
        host: `h${node}`,
        addresses: [`10.0.${node >> 8}.${node & 255}`],
        slots: 1,
      }))
    const tree = (count: number) =>
      plan('prrte', {}, { nodes: many(count), subnets: [] }).env['PRTE_MCA_plm_ssh_no_tree_spawn']
    expect([tree(255), tree(256)]).toEqual(['1', '0'])
  })

  it('the network: the control’s own, else the range of the members, else interfaces by name', () => {
    const include = (more: Partial<PlanInput>) => plan('orte', {}, more).env['OMPI_MCA_btl_tcp_if_include']
    expect(include({ subnets: [] })).toBe('10.0.0.8/29')
    const apart = four.map((node) => ({
      ...node,
      addresses: [`10.${node.node * 60}.0.1`],
      interface: `eth${node.node % 2}`,
    }))
    expect(include({ nodes: apart, subnets: ['10.0.0.1/24'] })).toBe('eth0,eth1')
  })
})
