import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type RunEvent, run } from '@gangflow/core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { pythonWithTorch } from '../../../scripts/python-env.mjs'
import { startHosts, type TestHosts } from '../../hosts/index.js'

let hosts: TestHosts
let python: string
const folder = mkdtempSync(join(tmpdir(), 'gangflow-torch-network-'))

beforeAll(async () => {
  python = await pythonWithTorch()
  const places = execFileSync(python, ['-c', 'import sys; print(sys.prefix); print(sys.base_prefix)'], {
    encoding: 'utf8',
  })
  const show = [...new Set([...places.trim().split('\n'), dirname(dirname(python))])]
  hosts = await startHosts({ count: 2, network: 'ipv6', show, shm: 512 })
  // Nobody resolves a hostname, a host's own included, as torch would.
  await hosts.forget(hosts.names)
}, 900_000)
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await hosts?.down()
})

it.each(['direct', 'torchrun'])(
  'ranks started by %s meet on hosts that have IPv6 alone, names that nobody resolves, and a port that was taken after it was drawn',
  async (launcher) => {
    const hostsFile = join(folder, 'hosts')
    writeFileSync(hostsFile, hosts.names.map((name) => `${name} python=${python}\n`).join(''))
    const file = new URL('../torchrun/flow/flow.ts', import.meta.url)
    const handle = run(file, {
      datastore: join(folder, launcher),
      backend: 'ssh',
      backendOptions: { hostsFile, sshConfig: hosts.config },
      parameters: { script: 'meet.py', members: 2, launcher, taken: true },
    })
    const lines: string[] = []
    for await (const event of handle.events as AsyncIterable<RunEvent>)
      if (event.type === 'line') lines.push(event.text)
    const result = await handle.result
    expect(result.error, lines.slice(-30).join('\n')).toBeUndefined()
    const told = lines.filter((line) => line.startsWith('sum'))
    expect(told, lines.join('\n')).toEqual(Array(2).fill(`sum 2 by ${hosts.hosts[0]!.address} on eth0`))
  },
  240_000,
)
