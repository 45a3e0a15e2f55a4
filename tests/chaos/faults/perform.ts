import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { nearScratch } from '../../../packages/core/src/datastore/directory/near-scratch.js'
import type { TestHosts } from '../../hosts/index.js'
import { slack, sleep } from '../../support/gang.js'
import type { Fault } from './faults.js'
import { HangingDisk } from './hanging-disk.js'
import { type Phase, type Place, Scene } from './scene.js'

/** What one fault did, measured. */
export interface Outcome {
  readonly fault: string
  readonly place: Place
  readonly phase: Phase
  readonly endedMs?: number
  readonly exit: number | null
  readonly summary?: string
}

export interface Where {
  readonly place: Place
  readonly phase: Phase
  readonly hosts?: TestHosts
  readonly file: string
}

/** Does one fault to one gang in one phase, and asserts all that is awaited of it. */
export async function perform(fault: Fault, { place, phase, hosts, file }: Where): Promise<Outcome> {
  const { size = 2 } = fault
  const machines = place === 'ssh' ? hosts!.hosts.slice(0, size) : []
  await fault.prepare?.(machines)
  const disk =
    fault.hangs === undefined ? undefined : await HangingDisk.mount(join(file, '..', `disk-${place}-${phase}`))
  const scene = new Scene(file, {
    place,
    phase,
    size,
    ...(place === 'ssh' ? { hosts: hosts! } : {}),
    ...(fault.works === undefined ? {} : { works: fault.works }),
    ...(fault.mode ? { mode: fault.mode } : {}),
    ...(fault.timeouts ? { timeouts: fault.timeouts } : {}),
    ...(disk ? { datastore: join(disk.path, 'store'), env: { GANGFLOW_DATASTORE_TIMEOUT: String(fault.hangs) } } : {}),
  })
  try {
    await scene.ready(fault.holds)
    const at = performance.now()
    disk?.hang()
    const injected = Promise.resolve(fault.inject(scene, machines, hosts!))
    injected.catch(() => {})
    if (fault.holds === undefined) scene.release()
    const { expected } = fault
    let endedMs: number | undefined
    if (expected.bound) {
      const { leases, ms } = expected.bound
      // A fault that could not be done is told at once.
      const failed = injected.then(() => new Promise<never>(() => {}))
      endedMs = await Promise.race([scene.usersGone(at, leases * scene.timeouts['lease']! + ms * slack), failed])
    }
    await injected
    const exit = await scene.end(90_000)
    await fault.heal?.(scene, machines)
    // Whoever is cut off has no one to wait for but its linger.
    await scene.allGone(performance.now(), (scene.timeouts['linger']! + 10_000) * Math.max(1, slack / 2), fault.cuts)
    assertVerdict(fault, scene, exit)
    const summary = scene.verdict?.summary
    return {
      fault: fault.id,
      place,
      phase,
      exit,
      ...(endedMs === undefined ? {} : { endedMs }),
      ...(summary ? { summary } : {}),
    }
  } finally {
    await hosts?.heal()
    disk?.heal()
    await scene.clear()
    if (disk) {
      disk.remove()
      rmSync(nearScratch(join(disk.path, 'store'))!, { recursive: true, force: true })
    }
    await sleep(0)
  }
}

function assertVerdict(fault: Fault, scene: Scene, exit: number | null): void {
  const { expected } = fault
  const { verdict } = scene
  const told = `${JSON.stringify(verdict, null, 1)}\n${scene.said()}`
  if (expected.exit === 0) expect(scene.result?.status, told).toBe('done')
  if (expected.cause) expect(verdict?.cause, told).toBe(expected.cause)
  if (expected.codes) expect(expected.codes, told).toContain(verdict?.code)
  if (expected.kind) expect(verdict?.first?.kind, told).toBe(expected.kind)
  if (expected.node !== undefined) expect(verdict?.first?.node, told).toBe(expected.node)
  expect(exit, told).toBe(expected.exit)
}
