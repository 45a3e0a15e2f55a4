import { spawn } from 'node:child_process'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { startHosts, type TestHosts } from '../../hosts/index.js'
import { until } from '../../support/gang.js'
import { leftOn, onHosts, SshProject } from '../../support/ssh-project.js'

const cli = new URL('../../../packages/core/dist/cli.cjs', import.meta.url).pathname
let hosts: TestHosts
let project: SshProject

beforeAll(async () => {
  hosts = await startHosts({ count: 3 })
  project = new SshProject({
    'shell.ts': `
import { execFileSync, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { FlowSpec, step, current, parallel } from '@gangflow/core'
export default class Shell extends FlowSpec {
  @step start() { this.next(this.work, { numParallel: 3 }) }
  @parallel() @step async work() {
    const p = current.parallel as any
    const shell = await p.shell()
    const env = { ...process.env, ...shell.env }
    const run = (program: string, ...args: string[]) => execFileSync(program, args, { env, encoding: 'utf8', maxBuffer: 1 << 28 }).trim()
    const names = p.roster.entries.map(({ host }: any) => host)
    if (p.isControl) {
      const sha = (data: any) => createHash('sha256').update(data).digest('hex')
      const say = (name: string, value: unknown) => console.log('SAYS ' + name + ' ' + JSON.stringify(value))
      say('shim', names.map((name: string) => run(shell.shim, name, 'hostname; id -un; echo $GANGFLOW_NODE').split('\\n')))
      say('ssh', names.map((name: string) => run('ssh', '-F', shell.config, name, 'hostname')))
      say('through', run(shell.shim, names[1], 'gangflow-shim ' + names[2] + ' hostname'))
      say('pdsh', spawnSync('pdsh', ['-w', names.join(','), 'hostname'], { encoding: 'utf8', env: { ...env, PDSH_RCMD_TYPE: 'ssh', PDSH_SSH_ARGS_APPEND: '-F ' + shell.config } }).stdout.trim().split('\\n').sort())
      const big = randomBytes(40_000_000)
      writeFileSync('big.bin', big)
      run('scp', '-F', shell.config, 'big.bin', names[1] + ':by-scp.bin')
      run('rsync', '-e', shell.shim, 'big.bin', names[2] + ':by-rsync.bin')
      run('scp', '-S', shell.shim, 'big.bin', names[2] + ':by-shim.bin')
      say('sums', [[names[1], 'by-scp.bin'], [names[2], 'by-rsync.bin'], [names[2], 'by-shim.bin']].map(([name, file]) =>
        run(shell.shim, name!, 'sha256sum < ' + file).split(' ')[0] === sha(big)))
      console.log('READY')
      while (!existsSync('enough')) await sleep(100)
    }
    await p.barrier()
    this.next(this.join)
  }
  @step join(inputs: any) { this.next(this.end) }
  @step end() {}
}`,
  })
})
afterAll(async () => {
  project?.remove()
  await hosts?.down()
})

it('gives a gang on hosts its remote shell, and a person a way in', async () => {
  const run = project.start(['run', 'shell.ts', ...onHosts(hosts)])
  const says = (name: string): unknown => JSON.parse(new RegExp(`SAYS ${name} (.*)`).exec(run.text())?.[1] ?? 'null')
  await until(() => /READY/.test(run.text()) || run.child.exitCode !== null, 'the control is through', 120_000)
  expect(says('shim'), run.text()).toEqual(hosts.names.map((name, node) => [name, 'gf', String(node)]))
  expect(says('ssh')).toEqual(hosts.names)
  expect(says('through')).toBe(hosts.names[2])
  expect(says('pdsh')).toEqual(hosts.names.map((name) => `${name}: ${name}`))
  expect(says('sums')).toEqual([true, true, true])
  const look = (node: string, command: string) => {
    const child = spawn(process.execPath, [cli, 'ssh', 'Shell', node, command], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => (text += chunk))
    return new Promise<[number | null, string]>((resolve) => child.once('close', (code) => resolve([code, text])))
  }
  expect(await look('2', 'hostname; exit 3')).toEqual([3, `${hosts.names[2]}\n`])
  expect(await look(hosts.names[1]!, 'id -un')).toEqual([0, 'gf\n'])
  await look('0', 'touch enough')
  expect((await run.ended).code, run.text()).toBe(0)
  expect(await leftOn(hosts)).toEqual([])
}, 240_000)
