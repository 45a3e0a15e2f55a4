import { afterAll, beforeAll, expect, it } from 'vitest'
import { Client } from '../../../packages/core/src/index.js'
import { startHosts, type TestHosts } from '../../hosts/index.js'
import { leftOn, SshProject } from '../../support/ssh-project.js'

let hosts: TestHosts
let project: SshProject

const flow = `
import { userInfo } from 'node:os'
import { FlowSpec, step, current, parallel, type Inputs } from '@gangflow/core'
export default class Accounts extends FlowSpec {
  out!: unknown
  @step start() { this.next(this.work, { numParallel: 5 }) }
  @parallel() @step async work() {
    const p = current.parallel
    const [said] = await p.exec([(p.nodeIndex + 1) % 5], ['sh', '-c', 'id -un'])
    this.out = [userInfo().username, userInfo().shell, said!.stdout.trim(), (await p.allGather(p.nodeIndex)).length]
    this.next(this.join)
  }
  @step join(inputs: Inputs<Accounts, 'work'>) { this.out = inputs.map((one) => one.out); this.next(this.end) }
  @step end() {}
}`

beforeAll(async () => {
  hosts = await startHosts(4)
  project = new SshProject({ 'flow.ts': flow })
  const shell = (path: string) => `sed -i 's#^\\(gf:.*:\\)[^:]*$#\\1${path}#' /etc/passwd`
  const other = [
    'sed -n "s#^gf:x:[0-9]*:[0-9]*::/home/gf:#other:x:4321:4321::/home/other:#p" /etc/passwd >> /etc/passwd',
    'sed -n "s#^gf:#other:#p" /etc/shadow >> /etc/shadow',
    'cp -a /home/gf /home/other && chown -R 4321:4321 /home/other',
  ]
  // Each with what a person may have in its start files: words on stdout.
  const made = [
    `${shell('/usr/bin/fish')} && mkdir -p /home/gf/.config/fish && echo 'echo "welcome, \\$USER"' > /home/gf/.config/fish/config.fish && chown -R gf: /home/gf/.config`,
    `${shell('/usr/bin/tcsh')} && echo 'echo "hello; set -u"' > /home/gf/.tcshrc`,
    `ln -s /bin/busybox /opt/ash && ${shell('/opt/ash')}`,
    other.join(' && '),
  ]
  for (const [index, script] of made.entries()) await hosts.hosts[index]!.must(['sh', '-c', script])
})
afterAll(async () => {
  project?.remove()
  await hosts?.down()
})

it('runs members of any login shell, and of two accounts on one host', async () => {
  const on = ['--hosts', 'host1,host2,host3,host4,other@host4', '--ssh-config', hosts.config]
  const { code, out } = await project.start(['run', 'flow.ts', ...on]).ended
  expect(code, out).toBe(0)
  const run = new Client(project.store).run(`Accounts/${/Accounts\/(\d+) done/.exec(out)![1]}`)
  expect(run.artifacts['out']).toEqual([
    ['gf', '/usr/bin/fish', 'gf', 5],
    ['gf', '/usr/bin/tcsh', 'gf', 5],
    ['gf', '/opt/ash', 'gf', 5],
    ['gf', '/bin/bash', 'other', 5],
    ['other', '/bin/bash', 'gf', 5],
  ])
  expect(await leftOn(hosts)).toEqual([])
}, 120_000)
