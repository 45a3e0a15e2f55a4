import { describe, expect, it } from 'vitest'
import type { RayOptions, RayRunOptions } from '../src/options.js'
import { checkOptions, settleExec, settleRun, settleSubmit } from '../src/settings.js'

const option = (what: RegExp) => expect.objectContaining({ code: 'E_RAY_OPTION', message: expect.stringMatching(what) })

describe('options', () => {
  it.each([
    [{ prot: 6379 }, /has no option 'prot'\n.*port, dashboard/],
    [{ port: 80 }, /port is 80/],
    [{ dashboard: 'yes' }, /dashboard is "yes"/],
    [{ resources: { GPU: 1 } }, /resources\.GPU/],
    [{ resources: { gang_node_0: 1 } }, /resources\.gang_node_0/],
    [{ resources: { fast: Number.NaN } }, /resources\.fast/],
    [{ objectStoreMemory: 1000 }, /75 MiB/],
    [{ startTimeout: 'soon' }, /startTimeout is "soon"/],
    [{ python: [] }, /python is \[\]/],
  ])('@ray(%j) is refused', (options, what) => {
    expect(() => checkOptions(options as RayOptions)).toThrow(option(what))
  })

  it.each([
    [{ entrypoint: '' }, /entrypoint is ""/],
    [{ entrypoint: 'a.py', args: 'x' }, /args is "x"/],
    [{ entrypoint: 'a.py', runtimeEnv: ['pip'] }, /runtimeEnv/],
    [{ entrypoint: 'a.py', runtimeEnv: { env_var: {} } }, /runtimeEnv\.env_var is \{\}\n.*env_vars/],
    [{ entrypoint: 'a.py', runtimeEnv: { env_vars: { A: 1 } } }, /env_vars\.A is 1/],
    [{ entrypoint: 'a.py', env: { A: 1 } }, /env\.A is 1/],
  ])('run(%j) is refused', (call, what) => {
    expect(() => settleRun(call as unknown as RayRunOptions)).toThrow(option(what))
  })

  it('takes what is right', () => {
    checkOptions({ port: 6380, resources: { fast: 0.5 }, silence: '10s', cpus: 0, python: ['python3', '-X', 'dev'] })
    expect(settleRun({ entrypoint: 'a.py', args: ['--n', 3], timeout: '2s' })).toEqual({
      words: ['a.py', '--n', '3'],
      env: {},
      cwd: undefined,
      timeoutMs: 2000,
      check: true,
    })
    expect(settleExec(['ray', 'status'], {}).words).toEqual(['ray', 'status'])
    expect(() => settleExec('ray status', {})).toThrow(option(/command is "ray status"/))
    expect(() => settleSubmit({ entrypoint: 'true', submissionId: 'a/b' })).toThrow(option(/submissionId/))
  })
})
