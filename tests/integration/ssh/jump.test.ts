// Hosts that reach the launcher only through the SSH connection by which it reaches them: here, behind a jump host.
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Client } from '../../../packages/core/src/index.js'
import { startHosts, type TestHosts } from '../../hosts/index.js'
import { slack, until } from '../../support/gang.js'
import { leftOn, onHosts, SshProject } from '../../support/ssh-project.js'

const MEGABYTES = 3

let hosts: TestHosts
let project: SshProject

/** What nothing compresses, from each member, over connections on which it takes four leases, and what is under way of it two. */
const flow = `
import { FlowSpec, step, current, parallel, type Inputs } from '@gangflow/core'
import { randomBytes } from 'node:crypto'
export default class Jump extends FlowSpec {
  data!: unknown
  sizes!: unknown
  @step start() { this.next(this.work, { numParallel: 2 }) }
  @parallel({ timeouts: { lease: 2_000 } }) @step async work() {
    this.data = randomBytes(${MEGABYTES} << 20)
    this.next(this.join)
  }
  @step join(inputs: Inputs<Jump, 'work'>) { this.sizes = inputs.map((one) => (one.data as Uint8Array).length); this.next(this.end) }
  @step end() {}
}`

/** Each SSH connection goes by host1, and brings back 384 KB a second. */
const slow = `#!/usr/bin/env python3
import subprocess, sys, time
config, host, port = sys.argv[1:]
jump = subprocess.Popen(['ssh', '-F', config, '-W', host + ':' + port, 'host1'], stdout=subprocess.PIPE, bufsize=0)
while data := jump.stdout.read(1 << 15):
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
    time.sleep(len(data) / (384 << 10))
`

beforeAll(async () => {
  hosts = await startHosts({ count: 3 })
  project = new SshProject({ 'flow.ts': flow, 'slow.py': slow })
  chmodSync(join(project.folder, 'slow.py'), 0o755)
})
afterAll(async () => {
  project?.remove()
  await hosts?.down()
})

it('large artifacts of a host that is only forwarded to do not delay its lease, and no socket stays', async () => {
  const jump = `ProxyCommand=${join(project.folder, 'slow.py')} ${hosts.config} %h %p`
  const run = project.start(['run', 'flow.ts', ...onHosts(hosts, ['host2', 'host3']), '--ssh-option', jump])
  const { code, out } = await run.ended
  expect(code, out).toBe(0)
  const done = new Client(project.store).run(`Jump/${/Jump\/(\d+) done/.exec(out)![1]}`)
  expect(done.artifacts['sizes']).toEqual([MEGABYTES << 20, MEGABYTES << 20])
  await until(async () => (await leftOn(hosts)).length === 0, 'the hosts to be clean', 10_000 * slack)
}, 180_000)
