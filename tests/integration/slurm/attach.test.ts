import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { type Cluster, startCluster, until } from '../../slurm/cluster.js'
import { follow, type Running } from '../../slurm/running.js'
import { slack } from '../../support/gang.js'
import { random } from '../../support/random.js'

const cli = new URL('../../../packages/core/dist/cli.cjs', import.meta.url).pathname
const flow = new URL('flows/slow.ts', import.meta.url).pathname
const pair = new URL('flows/pair.ts', import.meta.url).pathname
const seed = Number(process.env['GANGFLOW_SEED'] ?? 9)

let cluster: Cluster
let folder: string
let store: string

beforeAll(async () => {
  cluster = await startCluster({ cpus: 8 })
  folder = mkdtempSync(join(tmpdir(), 'gangflow-attach-'))
  store = join(folder, 'store')
})

afterAll(async () => {
  await cluster?.down()
  rmSync(folder, { recursive: true, force: true })
})

const started: ChildProcess[] = []

/** Whatever happened: nothing is left in the queue, and no process that knows the datastore. */
afterEach(async () => {
  for (const child of started.splice(0)) child.kill('SIGKILL')
  await until('an empty queue', async () => (await cluster.run('squeue', '-h')) === '', 30_000 * slack)
  await until('the end of its processes', () => ours().length === 0, 20_000 * slack)
}, 120_000 * slack)

const ours = (): string[] =>
  readdirSync('/proc').filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(store)
    } catch {
      return false
    }
  })

interface Given {
  readonly env?: Readonly<Record<string, string>>
  /** At a terminal. */
  readonly tty?: boolean
}

function gangflow(args: readonly string[], { env = {}, tty = false }: Given = {}): Running {
  const argv = [process.execPath, cli, ...args, '--datastore', store]
  // Without a shell between that Ctrl-C would end too.
  const words = tty ? ['script', '-qefc', `exec ${argv.map((word) => `'${word}'`).join(' ')}`, '/dev/null'] : argv
  const child = spawn(words[0]!, words.slice(1), {
    env: { ...cluster.env, ...env, ...(tty ? { TERM: 'dumb' } : {}) },
    stdio: [tty ? 'pipe' : 'ignore', 'pipe', 'pipe'],
  })
  started.push(child)
  return follow(child)
}

let marked = 0

/** A run of the flow, with marks of its own: which of its bodies began, sorted. */
function start(options: readonly string[] = [], given: Given = {}) {
  const marks = join(folder, `marks${++marked}`)
  mkdirSync(marks)
  const running = gangflow(['run', flow, '--marks', marks, '--backend', 'slurm', ...options], given)
  const began = () => readFileSync(join(marks, 'began'), 'utf8').trim().split('\n').sort()
  const named = async () => (await running.says(/Slow\/\d+/))[0]
  return { ...running, began, named }
}

/** Every body once. */
const once_ = ['each-1', 'each-2', 'each-3', 'pair-0', 'pair-1', 'start']

/** An sbatch before the real one that takes so many seconds before, and after, it hands a job over. */
function slowSbatch(name: string, before: number, after: number): { readonly PATH: string } {
  const bin = join(folder, name)
  mkdirSync(bin)
  const path = join(bin, 'sbatch')
  const real = `PATH="\${PATH#*:}" sbatch "$@"`
  writeFileSync(
    path,
    `#!/bin/sh\ncase "$*" in *--test-only*) ${real}; exit;; esac\nscript=$(cat)\nsleep ${before}\nprintf '%s\\n' "$script" | ${real}\ncode=$?\nsleep ${after}\nexit $code\n`,
  )
  chmodSync(path, 0o755)
  return { PATH: `${bin}:${cluster.env['PATH']}` }
}

it('goes on as if it had never been away, wherever its launchers are killed: nothing runs twice', async () => {
  const env = slowSbatch('slow', 0.3, 0.3)
  const killed = async (own: number) => {
    const rand = random(own)
    const first = start(['--seconds', '0.5'], { env })
    const run = await first.named()
    let last: Running = first
    for (let kills = 5; kills > 0; kills--) {
      await Promise.race([pause(100 + rand() * 5_000), last.ended])
      if (last.child.exitCode !== null) break
      last.child.kill('SIGKILL')
      await last.ended
      last = gangflow(['attach', run], { env })
    }
    const { code, text } = await last.ended
    expect(text, `seed ${own}`).toMatch(/Slow\/\d+ done|has ended: done/)
    expect({ own, began: first.began() }).toEqual({ own, began: once_ })
    return { own, code }
  }
  // One whose last launcher was killed behind the end is told so by exit code 2.
  for (const { own, code } of await Promise.all([seed, seed + 1, seed + 2].map(killed)))
    expect([0, 2], `seed ${own}`).toContain(code)
}, 400_000)

it('gives up what a killed launcher may have handed over, and a job that turns up for it all the same leaves', async () => {
  const first = start(['--seconds', '0.2'], { env: slowSbatch('late', 6, 0) })
  const run = await first.named()
  await until('its sbatch', () => ours().length > 0)
  await pause(1_500)
  first.child.kill('SIGKILL')
  const { code, text } = await gangflow(['attach', run]).ended
  expect(text).toContain('attached: 0 tasks done, 1 in jobs')
  expect(code).toBe(0)
  expect(first.began()).toEqual(once_)
}, 200_000)

it('refuses the decisions of a launcher that was asleep while another one took the run over', async () => {
  const first = start(['--seconds', '6'])
  const run = await first.named()
  await first.says(/each-2 began/)
  const alive = await gangflow(['attach', run]).ended
  expect(alive.text).toMatch(/run Slow\/\d+ is led by process \d+ on \S+, since .*last seen/)
  expect(alive.code).toBe(2)
  first.child.kill('SIGSTOP')
  const second = gangflow(['attach', run, '--take-over', '--json'])
  await second.says(/"attached":\{"owner":2,"done":\d,"begun":\d\}/)
  // It wakes up with a wish to end everything.
  first.child.kill('SIGINT')
  first.child.kill('SIGCONT')
  const older = await first.ended
  expect(older.text).toMatch(new RegExp(`run ${run} was taken over by process ${second.child.pid} on `))
  expect(older.code).toBe(7)
  const { code, text } = await second.ended
  expect(text).toContain('"text":"the sum is 6"')
  expect(code).toBe(0)
  expect(first.began()).toEqual(once_)
}, 200_000)

it('is left by d at a terminal and taken up again, its verdict as if nobody had been away', async () => {
  const first = start(['--seconds', '1', '--fails'], { tty: true })
  const run = await first.named()
  await first.says(/each-1 began/)
  first.child.stdin!.write('\x03')
  await first.says(/d detaches/)
  first.child.stdin!.write('x')
  await first.says(/going on/)
  first.child.stdin!.write('\x03')
  await first.says(/going on[\s\S]*d detaches/)
  first.child.stdin!.write('d')
  const left = await first.ended
  expect(left.text).toMatch(/detached in [\s\S]*job \d+ of it goes on[\s\S]*gangflow attach Slow\/\d+/)
  expect(left.code).toBe(6)
  const runs = await gangflow(['runs', 'Slow', '--json']).ended
  const mine = (JSON.parse(runs.text) as { run: string }[]).find((one) => run === `Slow/${one.run}`)
  expect(mine).toMatchObject({ status: 'detached', attachable: true })
  // Up to the gang, which then fails while nobody looks.
  const second = gangflow(['attach', run, '--detach-on-interrupt'])
  await second.says(/pair\/1:0 .*pair-0 began/)
  second.child.kill('SIGINT')
  expect((await second.ended).code).toBe(6)
  await until('the end of its job', async () => (await cluster.run('squeue', '-h')) === '', 60_000 * slack)
  const { code, text } = await gangflow(['attach', run]).ended
  expect(text).toMatch(/pair\/1 failed[\s\S]*user .*node 1[\s\S]*as it was asked to/)
  expect(text).toMatch(/Slow\/\d+ failed/)
  expect(code).toBe(1)
  const ended = await gangflow(['attach', run]).ended
  expect(ended.text).toMatch(/has ended: failed[\s\S]*gangflow resume .*slow\.ts --origin \d+/)
  expect(ended.code).toBe(2)
}, 200_000)

it('hands over and leaves with --detach, and --cancel ends what was left', async () => {
  const first = start(['--seconds', '60', '--detach'])
  const { code, text } = await first.ended
  expect(code).toBe(0)
  const run = /^Slow\/\d+$/m.exec(text)![0]
  expect(await cluster.run('squeue', '-h', '-o', '%j')).toBe('Slow.start')
  const cancelled = await gangflow(['attach', run, '--cancel']).ended
  expect(cancelled.text).toMatch(/stopping: gangflow attach --cancel[\s\S]*cancelled in/)
  expect(cancelled.code).toBe(130)
  const unknown = await gangflow(['attach', 'Slow/17']).ended
  expect(unknown.text).toContain("there is no run 'Slow/17'")
  expect(unknown.code).toBe(2)
  const tied = [
    start(['--backend', 'local', '--detach']),
    gangflow(['run', pair, '--backend', 'slurm', '--backend-option', 'shared=false', '--detach']),
  ]
  const [local, relayed] = await Promise.all(tied.map(({ ended }) => ended))
  expect(local!.text).toMatch(/cannot be detached: its tasks are processes below the launcher/)
  expect(relayed!.text).toMatch(/cannot be detached: its nodes do not see the datastore/)
  expect([local!.code, relayed!.code]).toEqual([2, 2])
}, 200_000)
