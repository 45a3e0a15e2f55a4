import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { Client, type RunEvent, run } from '@gangflow/core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { pythonWithTorch } from '../../../scripts/python-env.mjs'
import { startHosts, type TestHosts } from '../../hosts/index.js'
import { leftOn } from '../../support/ssh-project.js'

let hosts: TestHosts
let python: string
const folder = mkdtempSync(join(tmpdir(), 'gangflow-ssh-torch-'))

beforeAll(async () => {
  python = await pythonWithTorch()
  // A Python with torch is what hosts for torch have; nothing of this project is on them.
  const places = execFileSync(python, ['-c', 'import sys; print(sys.prefix); print(sys.base_prefix)'], {
    encoding: 'utf8',
  })
  const show = [...new Set([...places.trim().split('\n'), dirname(dirname(python))])]
  hosts = await startHosts({ count: 4, hide: [process.execPath], show, shm: 512 })
}, 900_000)
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await hosts?.down()
})

it('the torch example trains unchanged on four hosts without a shared folder, as a user who is not root', async () => {
  const hostsFile = join(folder, 'hosts')
  writeFileSync(hostsFile, hosts.names.map((name) => `${name} python=${python}\n`).join(''))
  const file = new URL('../../../examples/torch-digits/flow.ts', import.meta.url)
  const datastore = join(folder, 'store')
  const handle = run(file, { datastore, backend: 'ssh', backendOptions: { hostsFile, sshConfig: hosts.config } })
  const lines: string[] = []
  for await (const event of handle.events as AsyncIterable<RunEvent>) if (event.type === 'line') lines.push(event.text)
  const result = await handle.result
  expect(result.error, lines.slice(-30).join('\n')).toBeUndefined()
  expect(lines.filter((line) => /^accuracy 0\.9\d$/.test(line))).toHaveLength(1)
  const { artifacts } = new Client(datastore).run(`TorchDigits/${result.run}`)
  expect(artifacts['accuracy']).toBeGreaterThanOrEqual(0.95)
  expect(artifacts['metrics']).toMatchObject({ worldSize: 4, rows: 1437 })
  expect(await leftOn(hosts)).toEqual([])
}, 300_000)
