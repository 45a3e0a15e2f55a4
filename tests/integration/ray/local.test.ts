import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Client } from '../../../packages/core/src/index.js'
import { engineEnvironment } from '../../../scripts/engine-env.mjs'
import { alive, processesOf, slack, until } from '../../support/gang.js'
import type { Ended, SshProject } from '../../support/ssh-project.js'
import { leftIn, rayProject, startRay } from './support.js'

const digits = new URL('../../../examples/torch-digits/digits.csv.gz', import.meta.url).pathname
/** Seconds that a grandchild would sleep: nothing else here sleeps as long. */
const mark = String(100_000 + process.pid)
let python: string
let work: SshProject
let other: SshProject
let own: { pid: number; folder: string }
let ended: Ended
let failed: Ended
let before: string[]

beforeAll(async () => {
  python = await engineEnvironment('ray')
  before = leftIn('/tmp')
  own = await startOwn()
  work = rayProject()
  other = rayProject()
  const seenFile = join(work.folder, 'seen')
  const running = startRay(work, python, ['flow.ts', '--digits', digits, '--mark', mark, '--seen', seenFile])
  // A second gang with Ray at the same time, which loses one thing after the other.
  const beside = startRay(other, python, ['row.ts'])
  const seen = setInterval(() => {
    if (running.text().includes('first line of the job')) writeFileSync(seenFile, '')
  }, 100)
  ;[ended, failed] = await Promise.all([running.ended, beside.ended])
  clearInterval(seen)
}, 1_200_000)

afterAll(() => {
  if (own) {
    process.kill(-own.pid, 'SIGKILL')
    rmSync(own.folder, { recursive: true, force: true })
  }
  work?.remove()
  other?.remove()
})

/** A Ray of the person's own, started by hand on Ray's own ports. */
async function startOwn(): Promise<{ pid: number; folder: string }> {
  const folder = mkdtempSync('/tmp/own-ray-')
  const words = ['start', '--head', '--block', `--temp-dir=${folder}`, '--num-cpus=1', '--disable-usage-stats']
  const more = [
    '--include-dashboard=false',
    '--include-log-monitor=false',
    '--no-monitor',
    '--object-store-memory=80000000',
  ]
  const child = spawn(python, ['-m', 'ray.scripts.scripts', ...words, ...more], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (out += data))
  await until(() => out.includes('Ray runtime started'), 'the own Ray', 100_000 * slack)
  return { pid: child.pid!, folder }
}

describe('Ray on a local gang', () => {
  it('tells of the raylet and the `ray start` that were killed, ends the drivers, and forms a new cluster straight after', () => {
    expect(ended.code, ended.out).toBe(0)
    expect(ended.out).toMatch(
      /'ray-node1(?:-\d)?' on node 1 \(.+\) of 2.* was ended by SIGKILL .*Ray's raylet on node 1/,
    )
    expect(ended.out).toContain('raylet [exit code=-9')
    expect(ended.out).toMatch(
      /'ray-node1(?:-\d)?' on node 1 .*was ended by SIGKILL .*'ray start' on node 1 \(.+\) was ended by SIGKILL/,
    )
  })

  it('runs functions on every node, an actor and a map, submits jobs with live logs, and keeps exit codes', async () => {
    const [run] = await new Client(work.store).runs('OnRay')
    const out = run!.artifacts['out'] as Record<string, never>
    expect(out['nodes']).toEqual([
      { node: 0, alive: true, isHead: true, fast: 2 },
      { node: 1, alive: true, isHead: false, fast: 2 },
    ])
    const said = JSON.parse(String(out['work']).trim().split('\n').at(-1)!) as Record<string, unknown>
    expect(said).toEqual({ nodes: [0, 1], env: 'of run', total: 45, accuracy: expect.any(Number) })
    expect(said['accuracy']).toBeGreaterThan(0.85)
    expect(ended.out.match(/a worker prints/g)?.length).toBeGreaterThanOrEqual(2)
    expect(out['failing']).toEqual({ code: 'E_RAY_DRIVER', message: expect.stringContaining('ended with exit code 9') })
    expect(out['killed']).toBe('SIGKILL')
    expect(out['job']).toMatchObject({ status: 'FAILED', exitCode: 7, logs: expect.stringContaining('job of submit') })
    expect(out['plain']).toBe('SUCCEEDED')
  })

  it("trains the digits with Ray Train, which makes a killed worker anew and goes on from the run's own checkpoint", async () => {
    const [run] = await new Client(work.store).runs('OnRay')
    const { trained } = run!.artifacts['out'] as { trained: string }
    const { checkpoint, ...told } = JSON.parse(trained.trim().split('\n').at(-1)!)
    expect(told).toMatchObject({ epoch: 3, world: 2 })
    expect(told.began).toBeGreaterThan(0)
    expect(told.accuracy).toBeGreaterThan(0.85)
    expect(checkpoint).toContain(work.store)
    expect(existsSync(join(checkpoint, 'model.pt'))).toBe(true)
    // Its helpers take this Ray, beside the person's.
    expect(ended.out).not.toContain('multiple active Ray instances')
  })

  it('lets nobody in without the token', async () => {
    const [run] = await new Client(work.store).runs('OnRay')
    expect((run!.artifacts['out'] as Record<string, unknown>)['withoutToken']).toBe('16')
  })

  it("tells of the head's `ray start`, the body and the GCS that were killed in another gang beside it", () => {
    expect(failed.code, failed.out).toBe(3)
    expect(failed.out).toMatch(
      /'ray-head(?:-\d)?' on node 0 .*was ended by SIGKILL .*'ray start' on node 0 \(.+\) was ended by SIGKILL/,
    )
    expect(failed.out).toMatch(/body.* on node 0 .*was ended by SIGKILL/)
    expect(failed.out).toMatch(/Ray's gcs_server on node 0 .*was ended by SIGKILL/)
  })

  it('leaves no process, not even one in a session of its own, no folder and no shared memory, and a Ray of the person’s alone', () => {
    expect(processesOf(work.folder)).toEqual([])
    expect(processesOf(other.folder)).toEqual([])
    expect(execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })).not.toContain(`sleep ${mark}`)
    expect(leftIn('/tmp')).toEqual(before)
    expect(leftIn('/dev/shm')).toEqual([])
    expect(alive(own.pid)).toBe(true)
    const raylets = processesOf(own.folder).filter(({ command }) => command.includes('/raylet/raylet'))
    expect(raylets).toHaveLength(1)
  })
})
