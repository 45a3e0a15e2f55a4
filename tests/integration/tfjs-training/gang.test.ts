import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, type RunEvent, run, type Verdict } from '@gangflow/core'
import type { EpochMetrics } from '@gangflow/plugin-tfjs'
import { afterAll, describe, expect, it } from 'vitest'

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 10 })
})

async function perform(file: string, parameters: Record<string, string>) {
  const datastore = mkdtempSync(join(tmpdir(), 'gangflow-tfjs-'))
  folders.push(datastore)
  const handle = run(new URL(file, import.meta.url), { datastore, parameters })
  const lines: string[] = []
  const progress: unknown[] = []
  const verdicts: (Verdict | undefined)[] = []
  for await (const event of handle.events as AsyncIterable<RunEvent>) {
    if (event.type === 'line') lines.push(event.text)
    if (event.type === 'progress') progress.push(event.data)
    if (event.type === 'task-failed') verdicts.push(event.verdict)
  }
  const result = await handle.result
  return { result, lines, progress, verdicts, client: new Client(datastore) }
}

describe('@tensorflow', () => {
  it('goes on from its checkpoint after a member was killed, and keeps model and metrics', async () => {
    const { result, client, progress } = await perform('./flow/flow.ts', {})
    expect(result.error).toBeUndefined()
    const run = client.run(`Training/${result.run}`)
    const { answer, expected, metrics, iterations } = run.artifacts as Record<string, unknown>
    expect(answer).toBeCloseTo(expected as number, 5)
    const epochs = (metrics as EpochMetrics[]).map(({ epoch }) => epoch)
    expect(epochs).toEqual(Array.from({ length: 36 }, (_, index) => index + 4))
    expect(iterations).toBe(40 * 3)
    expect(progress).toContainEqual(
      expect.objectContaining({ line: expect.stringMatching(/^epoch 40\/40 loss \S+ \(\S+ s\)$/), epoch: 39 }),
    )
    const [control] = await run.task('train').nodes()
    const { tfMetrics } = control!.artifacts as { tfMetrics: Record<string, Uint8Array> }
    const kept = Buffer.from(tfMetrics['metrics.jsonl']!).toString().trim().split('\n')
    expect(kept.map((line) => JSON.parse(line))).toEqual(metrics)
  })

  it('says which member was killed during fit', async () => {
    const { result, verdicts } = await perform('./flow/troubles.ts', { how: 'die' })
    expect(result.status).toBe('failed')
    expect(verdicts).toMatchObject([{ cause: 'infrastructure', first: { node: 2, signal: 'SIGKILL' } }])
  })

  it('ends when a member trains not at all', async () => {
    const { result, verdicts } = await perform('./flow/troubles.ts', { how: 'leave' })
    expect(result.status).toBe('failed')
    expect(verdicts).toMatchObject([{ code: 'E_TF_RANK_LEFT' }])
  })

  it('refuses a step that does not await its training', async () => {
    const { result, verdicts } = await perform('./flow/troubles.ts', { how: 'forget' })
    expect(result.status).toBe('failed')
    expect(verdicts).toMatchObject([{ code: 'E_TF_AWAIT' }])
  })
})

describe('examples/tfjs-digits', () => {
  it('names at least 95 % of the held-out digits rightly, and tells how it went', async () => {
    const { result, lines, client } = await perform('../../../examples/tfjs-digits/flow.ts', {})
    expect(result.error).toBeUndefined()
    expect(client.run(`TfjsDigits/${result.run}`).artifacts['accuracy']).toBeGreaterThanOrEqual(0.95)
    for (const told of [
      /^accuracy 9\d\.\d % on held-out digits$/,
      /^time per epoch: \d+ ms on one member, \d+ ms on 4 \(\d+\.\d\d times as fast, (tfjs-node|wasm)\)$/,
      /^ {2}0\.00 │██/,
      /^model and metrics: npx gangflow artifacts TfjsDigits/,
    ])
      expect(lines.filter((line) => told.test(line))).toHaveLength(1)
  }, 300_000)

  it('trains a member in replicas of its own', async () => {
    const { result, client } = await perform('./flow/mirrored.ts', {})
    expect(result.error).toBeUndefined()
    const { losses, shape } = client.run(`Mirrored/${result.run}`).artifacts as Record<string, number[]>
    expect(losses).toHaveLength(3)
    expect(losses![2]).toBeLessThan(losses![0]!)
    expect(shape).toEqual([null, 3])
  })
})
