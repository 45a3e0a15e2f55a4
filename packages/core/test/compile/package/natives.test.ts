import { describe, expect, it } from 'vitest'
import type { HostPlatform } from '../../../src/compile/package/host-platform.js'
import { type Native, requirePlatform } from '../../../src/compile/package/natives.js'

const x64: HostPlatform = { os: 'linux', cpu: 'x64', libc: 'glibc' }
const arm64: HostPlatform = { os: 'linux', cpu: 'arm64', libc: 'glibc' }
const alpine: HostPlatform = { os: 'linux', cpu: 'x64', libc: 'musl' }
const mac: HostPlatform = { os: 'darwin', cpu: 'arm64' }

const bindings = (name: string, user: string): Native => ({
  name: `${name}-linux-x64-gnu`,
  version: '1.0.0',
  os: ['linux'],
  cpu: ['x64'],
  libc: ['glibc'],
  optionalOf: [user],
  others: ['linux-x64-gnu', 'linux-x64-musl', 'linux-arm64-gnu', 'linux-arm64-musl', 'darwin-arm64'].map(
    (one) => `${name}-${one}@1.0.0`,
  ),
})
const addon: Native = { name: 'addon', version: '2.0.0', os: ['linux'], cpu: ['x64'], optionalOf: [], others: [] }

const refusal = (natives: readonly Native[], host: HostPlatform, packedOn = x64) => {
  try {
    requirePlatform(natives, packedOn, host)
  } catch (error) {
    return error as { code: string; what: string; fix: string }
  }
  return undefined
}

describe('native packages', () => {
  it('run on hosts of the kind that they were packed on', () => {
    expect(refusal([bindings('rollup', 'rollup'), addon], x64)).toBeUndefined()
  })

  it('are named where a host is of another kind, with the command that installs the others', () => {
    expect(refusal([bindings('rollup', 'rollup')], arm64)).toMatchObject({
      code: 'E_CODE_PLATFORM',
      what: 'this host is linux arm64 glibc, and these packages of the flow are for linux x64 glibc: rollup-linux-x64-gnu 1.0.0',
      fix: 'where the run is started: npm install --no-save --force rollup-linux-arm64-gnu@1.0.0',
    })
    expect(refusal([bindings('rollup', 'rollup')], alpine)?.fix).toContain('rollup-linux-x64-musl@1.0.0')
    expect(refusal([bindings('rollup', 'rollup'), addon], arm64)?.fix).toContain(
      'npm install --os linux --cpu arm64 --libc glibc',
    )
    expect(refusal([addon], mac)?.what).toContain('this host is darwin arm64')
  })

  it('may be there for several kinds', () => {
    const other: Native = { ...bindings('rollup', 'rollup'), name: 'rollup-linux-arm64-gnu', cpu: ['arm64'] }
    expect(refusal([bindings('rollup', 'rollup'), other], arm64)).toBeUndefined()
  })

  it('are no matter where they are of one kind only by choice, or not in use where they were packed', () => {
    const fsevents: Native = { name: 'fsevents', os: ['darwin'], optionalOf: ['chokidar'], others: ['fsevents@2'] }
    expect(refusal([fsevents], x64, mac)).toBeUndefined()
    expect(refusal([{ ...addon, os: ['!win32'], cpu: ['x64', 'arm64'] }], arm64)).toBeUndefined()
    expect(refusal([{ ...addon, cpu: ['arm64'] }], alpine)).toBeUndefined()
  })
})
