import { describe, expect, it } from 'vitest'
import { digest, settle } from '../src/settings.js'

const call = { entrypoint: 'train.py' }
const refused = (what: RegExp) => expect.objectContaining({ code: 'E_TORCH_OPTION', what: expect.stringMatching(what) })

describe('settle', () => {
  it('has a default for everything, and every deadline set', () => {
    expect(settle({}, call)).toEqual({
      entrypoint: 'train.py',
      module: false,
      args: [],
      torchrunArgs: [],
      nprocPerNode: 'auto',
      masterPort: undefined,
      env: {},
      cwd: undefined,
      python: undefined,
      launcher: 'direct',
      startTimeoutMs: 600_000,
      processGroupTimeoutMs: 1_800_000,
      timeoutMs: undefined,
      outputArtifact: 'torchOutput',
    })
  })

  it("lets a call's options win over the decorator's", () => {
    const settings = settle(
      { nprocPerNode: 2, launcher: 'prefork', python: 'python3.12', startTimeout: '90s' },
      { ...call, nprocPerNode: 4, launcher: 'direct', python: ['python3', '-O'] },
    )
    expect(settings).toMatchObject({
      nprocPerNode: 4,
      launcher: 'direct',
      python: ['python3', '-O'],
      startTimeoutMs: 90_000,
    })
    expect(settle({ nprocPerNode: 2 }, call).nprocPerNode).toBe(2)
  })

  it('takes torchrun itself where its options are given', () => {
    expect(settle({}, { ...call, torchrunArgs: { max_restarts: 1 } }).launcher).toBe('torchrun')
  })

  it.each([
    [{}, { entrypoint: '' }, /entrypoint/],
    [{}, undefined, /argument/],
    [{}, { ...call, nproc: 2 }, /no option 'nproc'/],
    [{ nprocs: 2 }, call, /@torchrun has no option 'nprocs'/],
    [{}, { ...call, nprocPerNode: 0 }, /nprocPerNode is 0/],
    [{}, { ...call, nprocPerNode: 1.5 }, /nprocPerNode/],
    [{ masterPort: 70_000 }, call, /masterPort/],
    [{ startTimeout: '10 minutes' }, call, /startTimeout/],
    [{ outputArtifact: 'a b' }, call, /outputArtifact/],
    [{}, { ...call, launcher: 'mpirun' }, /launcher/],
    [{}, { ...call, launcher: 'direct', torchrunArgs: ['--max-restarts', '1'] }, /torchrunArgs/],
    [{}, { ...call, torchrunArgs: { nnodes: 2 } }, /--nnodes/],
    [{}, { ...call, torchrunArgs: { rdzv_endpoint: 'a:1' } }, /--rdzv_endpoint/],
    [{}, { ...call, env: { RANK: '0' } }, /env.RANK/],
    [{}, { ...call, env: { A: 1 } }, /env.A/],
    [{}, { ...call, python: [] }, /python/],
    [{}, { ...call, cwd: 7 }, /cwd/],
  ])('refuses %j with %j', (options, given, what) => {
    expect(() => settle(options as never, given as never)).toThrow(refused(what))
  })
})

describe('digest', () => {
  it('lets arguments, environment and interpreter differ by node, but not what decides the shape', () => {
    const one = digest(settle({}, { ...call, args: ['--data', '/a'], env: { A: '1' }, python: 'python3' }))
    expect(digest(settle({}, { ...call, args: ['--data', '/b'] }))).toBe(one)
    for (const other of [
      { entrypoint: 'x.py' },
      { nprocPerNode: 2 },
      { launcher: 'torchrun' },
      { module: true },
    ] as const)
      expect(digest(settle({}, { ...call, ...other }))).not.toBe(one)
  })
})
