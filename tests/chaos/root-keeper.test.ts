import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'

const slack = Number(process.env['GANGFLOW_SLACK'] ?? 4)
const cli = new URL('../../packages/core/dist/cli.cjs', import.meta.url).pathname
const flow = new URL('./fixtures/hang.ts', import.meta.url).pathname
const store = mkdtempSync(join(tmpdir(), 'gangflow-root-'))
afterAll(() => {
  for (const { pid } of sleepers()) process.kill(pid, 'SIGKILL')
  // Who was killed may have had a file open until a moment ago.
  rmSync(store, { recursive: true, force: true, maxRetries: 10 })
})

interface Seen {
  pid: number
  ppid: number
  command: string
  args: string
}

function everyone(): Seen[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return []
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
      const rest = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      const command = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))
      const args = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0').join(' ').trim()
      return rest[0] === 'Z' ? [] : [{ pid: Number(name), ppid: Number(rest[1]), command, args }]
    } catch {
      return []
    }
  })
}

/** A length that nobody else sleeps. */
const nap = `600.${process.pid}`
const sleepers = () => everyone().filter(({ args }) => args === `sleep ${nap}` || args === `/bin/sleep ${nap}`)

interface Hanging {
  readonly launcher: ChildProcess
  readonly keeper: number
  readonly ended: Promise<unknown[]>
  said(): string
}

/** Runs the flow until all of it hangs. */
async function hang(kind: 'task' | 'gang', hanging: number): Promise<Hanging> {
  const launcher = spawn(process.execPath, [cli, 'run', flow, '--datastore', store], {
    env: { ...process.env, KIND: kind, NAP: nap },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [launcher.stdout, launcher.stderr]) stream.on('data', (data) => (output += data))
  const ended = once(launcher, 'exit')
  const deadline = performance.now() + 20_000 * slack
  while (output.split('hanging').length - 1 < hanging) {
    if (launcher.exitCode !== null || performance.now() > deadline) throw new Error(`it does not hang:\n${output}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  expect(sleepers().length).toBe(2 * hanging)
  const keeper = everyone().find(({ ppid, command }) => ppid === launcher.pid && command === 'gangflow-keeper')!
  return { launcher, keeper: keeper.pid, ended, said: () => output }
}

const kinds = [
  ['task', 1],
  ['gang', 2],
] as const

describe('kill -9 of the root keeper', () => {
  it.each(kinds)('ends a %s with all that escaped, and is named', async (kind, hanging) => {
    const { keeper, ended, said } = await hang(kind, hanging)
    const begun = performance.now()
    process.kill(keeper, 'SIGKILL')
    const [code] = await ended
    expect(code).toBe(3)
    expect(performance.now() - begun).toBeLessThan(3000 * slack)
    expect(said()).toMatch(/keeper/)
    expect(said()).not.toMatch(/agent on node \d .*was ended by SIGKILL/)
    expect(sleepers()).toEqual([])
  })

  it.each(kinds)('in the same instant as of the launcher ends a %s with all that escaped', async (kind, hanging) => {
    const { launcher, keeper, ended } = await hang(kind, hanging)
    const family = everyone().filter(({ command, ppid }) => command === 'gangflow-keeper' && ppid === keeper)
    // Stopped first, so that neither of them can act on the death of the other.
    for (const pid of [launcher.pid!, keeper]) process.kill(pid, 'SIGSTOP')
    for (const pid of [launcher.pid!, keeper]) process.kill(pid, 'SIGKILL')
    await ended
    await expect.poll(sleepers, { timeout: 3000 * slack, interval: 50 }).toEqual([])
    const left = () => everyone().filter(({ pid }) => family.some((one) => one.pid === pid))
    await expect.poll(left, { timeout: 3000 * slack, interval: 50 }).toEqual([])
  })
})
