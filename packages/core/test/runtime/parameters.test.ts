import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { readArtifact } from '../../src/datastore/artifacts/source.js'
import type { ArtifactTable } from '../../src/datastore/records.js'
import type { ParameterDescription } from '../../src/flow/description.js'
import { keptParameters, newParameters } from '../../src/runtime/parameters.js'
import { temporaryStore } from './fake-services.js'
import { describeFlow } from './random-flow.js'

const folder = mkdtempSync(join(tmpdir(), 'gangflow-parameters-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const store = temporaryStore()
const flow = (...parameters: ParameterDescription[]) => ({
  ...describeFlow([]),
  file: join(folder, 'flow.ts'),
  parameters,
})
const lr: ParameterDescription = { name: 'lr', kind: 'number', required: false, default: 0.1 }
const notes: ParameterDescription = { name: 'notes', kind: 'file', required: true, encoding: 'utf8' }
const weights: ParameterDescription = { name: 'weights', kind: 'file', required: false, default: 'w.bin' }
const values = (table: ArtifactTable) =>
  Object.fromEntries(Object.entries(table).map(([name, ref]) => [name, readArtifact(store, ref)]))

it('reads files, a default beside the flow, and keeps what it read', async () => {
  const file = join(folder, 'notes.txt')
  writeFileSync(file, 'grüße')
  writeFileSync(join(folder, 'w.bin'), new Uint8Array([1, 2]))
  const given = { values: { lr: '0.5', notes: file }, as: 'text' } as const
  const table = await newParameters(store, flow(lr, notes, weights), given)
  expect(values(table)).toEqual({ lr: 0.5, notes: 'grüße', weights: new Uint8Array([1, 2]) })
  rmSync(file)
  const extra: ParameterDescription = { name: 'extra', kind: 'string', required: false, default: 'new' }
  const kept = await keptParameters(store, flow(lr, notes, extra), table)
  expect(values(kept)).toEqual({ lr: 0.5, notes: 'grüße', extra: 'new' })
  expect(kept['lr']).toEqual(table['lr'])
  await expect(newParameters(store, flow(lr, notes), given)).rejects.toMatchObject({ code: 'E_PARAMETER_FILE' })
})

it('says how to resume when the flow now asks for what the origin did not have', async () => {
  const required: ParameterDescription = { name: 'seed', kind: 'number', required: true }
  await expect(keptParameters(store, flow(required), {})).rejects.toMatchObject({
    code: 'E_PARAMETER_MISSING',
    fix: expect.stringContaining('give a new parameter a default'),
  })
})
