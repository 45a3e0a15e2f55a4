import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { backendCheck } from '../../src/backends/doctor.js'
import { packageOf, project, repository } from './project.js'

/** What the doctor says of this machine. */
function here(flowDir: string, options: Parameters<typeof backendCheck.command>[0]['options'] = {}): string {
  const place = { options, flowDir }
  const [program = '', ...args] = backendCheck.command(place)
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', cwd: flowDir })
  return backendCheck.judge({ exitCode: status, stdout, stderr }, place)
}

/** Of a host that answers so. */
const host = (stdout: string, options: Parameters<typeof here>[1] = {}) =>
  backendCheck.judge({ exitCode: 0, stdout, stderr: '' }, { options })

describe('the doctor', () => {
  it('says which backend a member here would use, and why no better one', () => {
    expect(here(repository)).toBe('tfjs-node 4.22.0')
    const broken = project({ 'tfjs-node': packageOf('tfjs-node', '4.22.0', 'throw new Error("no library")') })
    expect(here(broken)).toBe('wasm 4.22.0 (tfjs-node 4.22.0 does not load: no library)')
    expect(() => here(broken, { backend: 'tfjs-node' })).toThrow(/no library/)
  })

  it('says what a host over SSH would use, by its system', () => {
    const [command, flag, text] = backendCheck.command({ options: {} })
    const { stdout } = spawnSync(command as string, [flag as string, text as string], { encoding: 'utf8' })
    expect(host(stdout)).toBe('tfjs-node 4.22.0')
    expect(host('Linux riscv64 glibc 2.36\n')).toBe('wasm 4.22.0')
    expect(host('Linux x86_64 \n')).toBe('wasm 4.22.0')
    expect(() => host('Linux x86_64 glibc 2.36\n', { backend: 'tfjs-node' })).toThrow(/2\.36, without AVX/)
    expect(() => host('Linux x86_64 \n', { backend: 'tfjs-node' })).toThrow(/without glibc/)
    expect(() => host('')).toThrow(/tfjs-node, wasm, cpu/)
  })
})
