import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RunEvent, RunHandle } from '@gangflow/core'
import { onTestFinished } from 'vitest'
import { readArtifact } from '../../../packages/core/src/datastore/artifacts/source.js'
import { openDatastoreSync } from '../../../packages/core/src/datastore/open.js'
import { type DoneRecord, keys, type TaskAddress } from '../../../packages/core/src/datastore/records.js'

export const flow = (name: string): string => new URL(`flows/${name}.ts`, import.meta.url).pathname

/** A directory that goes with the test. */
export function temporary(): string {
  const path = mkdtempSync(join(tmpdir(), 'gangflow-run-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true, maxRetries: 10 }))
  return path
}

/** A folder outside of the repository in which a flow finds this core. */
export function project(): string {
  const path = temporary()
  mkdirSync(join(path, 'node_modules', '@gangflow'), { recursive: true })
  symlinkSync(new URL('../../../packages/core', import.meta.url).pathname, join(path, 'node_modules/@gangflow/core'))
  writeFileSync(join(path, 'package.json'), '{ "name": "flows", "type": "module" }')
  return path
}

export async function collect(handle: RunHandle): Promise<RunEvent[]> {
  const events: RunEvent[] = []
  for await (const event of handle.events) events.push(event)
  return events
}

export const ofType = <T extends RunEvent['type']>(events: readonly RunEvent[], type: T) =>
  events.filter((event): event is Extract<RunEvent, { type: T }> => event.type === type)

/** Processes whose environment carries the run's mark: whatever a run has left. */
export function leftOf(run: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(run)
      } catch {
        return false
      }
    })
    .map(Number)
}

/** Milliseconds, times what a slow machine needs. */
export const slack = (ms: number): number => ms * Number(process.env['GANGFLOW_SLACK'] ?? 4)

export function doneRecord(datastore: string, address: TaskAddress): DoneRecord | undefined {
  return openDatastoreSync(datastore).readRecordSync(keys.done(address)) as unknown as DoneRecord | undefined
}

/** An artifact after a finished task. */
export function artifact(datastore: string, address: TaskAddress, name: string): unknown {
  const done = doneRecord(datastore, address)
  return readArtifact(openDatastoreSync(datastore), done!.artifacts[name]!)
}
