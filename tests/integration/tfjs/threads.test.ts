import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const fixture = fileURLToPath(new URL('./fixtures/threads.mjs', import.meta.url))

async function threads(size: number, scenario: string) {
  const { stdout } = await promisify(execFile)(process.execPath, [fixture, String(size), scenario])
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { value?: unknown; error?: { code: string; what: string }; ended?: true })
}

describe('collectives between threads', () => {
  it.each([2, 3])('of %d give every result right, and the same bits to all', async (size) => {
    const results = await threads(size, 'everything')
    expect(results).toHaveLength(size)
    for (const { value } of results) expect(value).toMatch(/^[0-9a-f]{64}$/)
    expect(new Set(results.map(({ value }) => value)).size).toBe(1)
  })

  it.each<[string, string, RegExp]>([
    ['mismatch', 'E_TF_CALL_MISMATCH', /call #2 .*(float32\[9\].*float32\[8\]|float32\[8\].*float32\[9\])/],
    ['dies', 'E_TF_RANK_LOST', /the thread of rank 1 ended before call #2/],
    ['leaves', 'E_TF_RANK_LEFT', /rank 1 closed its collectives after 1 calls/],
    ['late', 'E_TF_CALL_TIMEOUT', /rank 1 has made 1 calls/],
  ])('%s is a named error of the others', async (scenario, code, what) => {
    const results = await threads(3, scenario)
    for (const rank of scenario === 'mismatch' ? [0, 1, 2] : [0, 2])
      expect(results[rank]!.error).toMatchObject({ code, what: expect.stringMatching(what) })
  })
})
