import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, run, type Verdict } from '@gangflow/core'
import { afterAll, describe, expect, it } from 'vitest'

const file = new URL('./flow/collectives.ts', import.meta.url)
const datastore = mkdtempSync(join(tmpdir(), 'gf-sums-'))
afterAll(() => rmSync(datastore, { recursive: true, force: true }))

async function sums(parameters: Record<string, boolean>) {
  const handle = run(file, { datastore, parameters })
  let verdict: Verdict | undefined
  for await (const event of handle.events) if (event.type === 'task-failed') verdict = event.verdict
  const result = await handle.result
  return { result, verdict, run: new Client(datastore).run(`Sums/${result.run}`) }
}

describe('collectives(current)', () => {
  it('connects the bodies of a gang, as often as it is called', async () => {
    const { result, run } = await sums({})
    expect(result).toMatchObject({ status: 'done' })
    expect(run.artifacts['all']).toEqual(Array(3).fill([6, 3, 6]))
  })

  it("leaves the verdict on a member's death to the gang", async () => {
    const { verdict } = await sums({ die: true })
    expect(verdict?.first).toMatchObject({ node: 1, signal: 'SIGKILL' })
  })
})
