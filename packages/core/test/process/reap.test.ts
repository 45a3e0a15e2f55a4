import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { availableCpus } from '../../src/errors/cpus.js'
import { assignedGpus } from '../../src/process/gpus.js'
import { isAlive, processFacts, startTimeOf } from '../../src/process/identity.js'
import { reap } from '../../src/process/reap.js'
import { everyone, folder, freshMark, isRunning, marked, until } from './helpers.js'

async function start(argv: [string, ...string[]], extra: Record<string, string> = {}) {
  const child = spawn(argv[0], argv.slice(1), {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'], ...extra },
    detached: true,
  })
  await once(child, 'spawn')
  return child
}

describe('reap', () => {
  it('ends a process and its descendants by pid and start time, never another that got the number', async () => {
    const child = await start(['sh', '-c', 'sleep 651 & setsid sleep 652 & echo up; sleep 653'])
    await once(child.stdout, 'data')
    const below = () =>
      everyone()
        .filter((one) => one.ppid === child.pid)
        .map((one) => one.pid)
    await until('all three', () => below().length === 3)
    const pids = below()
    expect(await reap({ pid: child.pid!, startTime: '1', timeoutMs: 0 })).toEqual({ ended: 0, left: [] })
    expect(await reap({ pid: child.pid!, startTime: startTimeOf(child.pid!) })).toEqual({ ended: 4, left: [] })
    expect(pids.filter(isRunning)).toEqual([])
  })

  it('ends what was orphaned by its recorded session and by its mark', async () => {
    const mark = freshMark()
    const child = await start(['sh', '-c', '(sleep 654 &); (setsid sleep 655 &); echo up'], {
      GANGFLOW_MARK: `${mark}/agent`,
    })
    await once(child, 'exit')
    const away = () => marked(`${mark}/agent`).filter((pid) => processFacts(pid)?.session !== child.pid)
    await until('the one that leaves the session', () => away().length === 1 && marked(`${mark}/agent`).length === 2)
    const other = await start(['sleep', '656'], { GANGFLOW_MARK: `${mark}x` })
    try {
      expect(await reap({ sessions: [child.pid!], graceMs: 2000 })).toEqual({ ended: 1, left: [] })
      expect(await reap({ mark })).toEqual({ ended: 1, left: [] })
      expect(isRunning(other.pid!)).toBe(true)
    } finally {
      other.kill('SIGKILL')
    }
  })

  it('gives those that heed TERM the grace', async () => {
    const child = await start(['sh', '-c', 'trap "exit 5" TERM; echo up; while :; do sleep 0.02; done'])
    await once(child.stdout, 'data')
    const exit = once(child, 'exit')
    await reap({ pid: child.pid!, startTime: startTimeOf(child.pid!), graceMs: 10_000 })
    expect((await exit)[0]).toBe(5)
  })

  it('never ends this process, though the mark is its own', async () => {
    const mark = process.env['GANGFLOW_MARK']
    expect((await reap({ pid: process.pid, startTime: startTimeOf(process.pid) })).ended).toBe(0)
    expect(process.env['GANGFLOW_MARK']).toBe(mark)
  })
})

describe('identity', () => {
  it('tells a living process from a zombie, a dead one and a reused number', async () => {
    const child = await start(['sh', '-c', 'sleep 0.05 & exec sleep 657'])
    const pid = child.pid!
    const startTime = startTimeOf(pid)
    expect(isAlive(pid, startTime)).toBe(true)
    expect(isAlive(pid, String(Number(startTime) - 1))).toBe(false)
    await until('the zombie', () => everyone().some((one) => one.ppid === pid && one.state === 'Z'))
    const zombie = everyone().find((one) => one.ppid === pid)!.pid
    expect(isAlive(zombie, startTimeOf(zombie))).toBe(false)
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect(isAlive(pid, startTime)).toBe(false)
    expect(startTimeOf(pid)).toBe('')
    expect(processFacts(process.pid)).toMatchObject({ ppid: process.ppid, alive: true })
  })

  it('counts at least one CPU', () => {
    expect(availableCpus()).toBeGreaterThanOrEqual(1)
  })

  it('lists the assigned devices as CUDA reads them', () => {
    expect(assignedGpus({ CUDA_VISIBLE_DEVICES: '2, 0' })).toEqual(['2', '0'])
    expect(assignedGpus({ CUDA_VISIBLE_DEVICES: '' })).toEqual([])
    expect(assignedGpus({ CUDA_VISIBLE_DEVICES: '1,-1,0' })).toEqual(['1'])
    expect(assignedGpus({ CUDA_VISIBLE_DEVICES: 'GPU-8932f937-d72c,MIG-a/1/0' })).toEqual([
      'GPU-8932f937-d72c',
      'MIG-a/1/0',
    ])
    const devices = folder()
    expect(assignedGpus({}, join(devices, 'none'))).toEqual([])
    for (const name of ['nvidia3', 'nvidia7', 'nvidiactl', 'nvidia-uvm', 'null']) writeFileSync(join(devices, name), '')
    mkdirSync(join(devices, 'nvidia-caps'))
    expect(assignedGpus({}, devices)).toEqual(['0', '1'])
  })
})
