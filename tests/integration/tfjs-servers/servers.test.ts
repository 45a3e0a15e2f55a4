import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, type RunEvent, run, type Verdict } from '@gangflow/core'
import { afterAll, expect, it } from 'vitest'

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 10 })
})

async function perform(file: string, parameters: Record<string, string>) {
  const datastore = mkdtempSync(join(tmpdir(), 'gangflow-tfjs-'))
  folders.push(datastore)
  const handle = run(new URL(file, import.meta.url), { datastore, parameters })
  const verdicts: (Verdict | undefined)[] = []
  for await (const event of handle.events as AsyncIterable<RunEvent>)
    if (event.type === 'task-failed') verdicts.push(event.verdict)
  return { result: await handle.result, verdicts, client: new Client(datastore) }
}

it('trains on workers by servers, goes on after a worker and a server were killed, and is one process where nobody is ahead', async () => {
  const { result, verdicts, client } = await perform('./flow.ts', {})
  expect(result.error).toBeUndefined()
  expect(verdicts).toMatchObject([
    { cause: 'infrastructure', first: { node: 1, signal: 'SIGKILL' } },
    { cause: 'infrastructure', first: { node: 3, signal: 'SIGKILL' } },
  ])
  const made = client.run(`Servers/${result.run}`).artifacts as Record<string, never>
  const { accuracies, hashes, histories, metrics, apart, refused, roles } = made as Record<string, unknown[]>
  expect(refused).toEqual(['E_TF_DECORATOR', 'E_TF_DECORATOR', 'E_TF_FIT', 'E_TF_OPTIMIZER'])
  expect(roles).toEqual(['worker 0', 'worker 1', 'server 0', 'server 1'])
  expect(new Set(hashes).size).toBe(1)
  expect(new Set(histories!.map((one) => JSON.stringify(one))).size).toBe(1)
  expect(Object.keys(histories![0] as object).sort()).toEqual(['acc', 'loss', 'val_acc', 'val_loss'])
  for (const accuracy of accuracies!) expect(accuracy).toBeGreaterThanOrEqual(0.95)
  const epochs = (metrics as { training: number; epoch: number }[]).filter(({ training }) => training === 0)
  expect(epochs[0]!.epoch).toBeGreaterThanOrEqual(2)
  expect(epochs.at(-1)!.epoch).toBe(5)
  expect(apart).toEqual({
    sgd: expect.any(Number),
    adam: expect.any(Number),
    'sgd steps': 16,
    'adam steps': 16,
    'own steps': 14,
    finite: 1,
  })
  for (const optimizer of ['sgd', 'adam']) expect(apart![optimizer as never]).toBeLessThanOrEqual(1e-5)
})
