// What ends of all kinds leave on hosts, and that the loss of one host is the loss of its members alone.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startHosts, type TestHosts } from '../../hosts/index.js'
import { slack, until } from '../../support/gang.js'
import { leftOn, onHosts, SshProject } from '../../support/ssh-project.js'

let hosts: TestHosts
let project: SshProject
/** This machine's side of what a killed launcher leaves: swept minutes later by the next one. */
const runtime = mkdtempSync(join(tmpdir(), 'gangflow-ends-'))

const flow = `
import { FlowSpec, step, current, parallel, retry, type Inputs } from '@gangflow/core'
export default class Ends extends FlowSpec {
  @step start() { this.next(this.work, { numParallel: 2 }) }
  @retry({ times: 1, infrastructure: 1 }) @parallel() @step async work() {
    const p = current.parallel
    await p.barrier()
    console.log('all begin ' + p.attempt)
    if (p.attempt === 0) await p.exec([p.nodeIndex], ['sleep', '4321'])
    this.next(this.join)
  }
  @step join(inputs: Inputs<Ends, 'work'>) { this.next(this.end) }
  @step end() {}
}`

beforeAll(async () => {
  hosts = await startHosts({ count: 2, hide: [process.execPath] })
  project = new SshProject({ 'flow.ts': flow })
})
afterAll(async () => {
  project?.remove()
  rmSync(runtime, { recursive: true, force: true })
  await hosts?.down()
})

const start = () => project.start(['run', 'flow.ts', ...onHosts(hosts)], { XDG_RUNTIME_DIR: runtime })

/** Processes and sockets, and what of logs and half a delivery lies in the cache. */
const remains = async () => {
  const cache = `/home/${hosts.user}/.cache/gangflow`
  const script = `find ${cache}/spool -mindepth 1 2>/dev/null; ls -d ${cache}/runtime/.new-* 2>/dev/null; :`
  const each = await Promise.all(hosts.hosts.map((host) => host.must(['sh', '-c', script])))
  return [...(await leftOn(hosts)), ...each.filter((text) => text.trim() !== '')]
}

/** The first process of host2 whose command line has the words. */
async function pidOn2(words: RegExp): Promise<string> {
  const text = await hosts.host('host2').must(['ps', '-u', hosts.user, '-o', 'pid=,args='])
  return /^\s*(\d+)/.exec(text.split('\n').find((line) => words.test(line)) ?? '')![1]!
}

it('a launcher that is killed while it sends the runtime leaves no socket and no half folder', async () => {
  const run = start()
  await until(() => /is sent node/.test(run.text()), 'Node to be sent', 60_000)
  run.child.kill('SIGKILL')
  await run.ended
  await until(async () => (await remains()).length === 0, 'the hosts to be clean', 10_000 * slack)
}, 120_000)

it.each([
  ['the connection', /sshd: .*@notty/],
  ['the agent', /agent\.cjs/],
  ['the shell', /^\s*\d+ sh -s$/],
])(
  'the end of %s of one host is no end of the run: @retry starts the gang anew, and nothing is left',
  async (_, words) => {
    const run = start()
    await until(() => (run.text().match(/all begin 0/g)?.length ?? 0) === 2, 'two bodies to begin', 60_000)
    await hosts.host('host2').must(['kill', '-9', await pidOn2(words)])
    const { code, out } = await run.ended
    expect(code, out).toBe(0)
    expect(out).toMatch(/work\/1:1 failed on host2/)
    expect(out).not.toContain('the keeper of this run')
    expect(out.match(/all begin 1/g)).toHaveLength(2)
    await until(async () => (await remains()).length === 0, 'the hosts to be clean', 10_000 * slack)
  },
  120_000,
)
