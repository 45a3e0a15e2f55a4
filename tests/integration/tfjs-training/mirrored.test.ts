import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'

const fixture = fileURLToPath(new URL('./mirrored.mjs', import.meta.url))

async function result<T>(backend: string, job: string): Promise<T> {
  // A program that does not end by itself is ended: an idle strategy keeps nobody alive.
  const { stdout } = await promisify(execFile)(process.execPath, [fixture, backend, job], { timeout: 230_000 })
  return JSON.parse(/^RESULT (.*)$/m.exec(stdout)![1]!) as T
}

interface Compared {
  readonly about: string
  readonly weights: number
  readonly trained: boolean
  readonly alike: boolean
  readonly logs: readonly number[]
  readonly evaluated: number
  readonly predicted: number
}

describe('MirroredStrategy', { timeout: 240_000 }, () => {
  it.each(['wasm', 'tfjs-node'])(
    'gives the weights of one process, the same bits in all replicas: %s',
    async (backend) => {
      const all = await result<Compared[]>(backend, 'equivalence')
      expect(all).toHaveLength(20)
      for (const { about, weights, trained, alike, logs, evaluated, predicted } of all) {
        expect({ trained, alike }, about).toEqual({ trained: true, alike: true })
        expect(weights, about).toBeLessThanOrEqual(1e-5)
        expect(Math.max(...logs, evaluated, predicted), about).toBeLessThanOrEqual(1e-4)
      }
    },
  )

  it('says what went wrong in which replica, and goes on with new ones', async () => {
    const told = await result<Record<string, { ok?: true; code?: string; message?: string; stack?: string }>>(
      'wasm',
      'troubles',
    )
    const replica = (message: RegExp) => ({
      code: 'E_TF_REPLICA',
      message: expect.stringMatching(message),
      rank: expect.any(Number),
    })
    const refused = (message: RegExp) => ({ code: 'E_TF_MIRRORED', message: expect.stringMatching(message) })
    expect(told).toMatchObject({
      well: { ok: true },
      throws: {
        ...replica(/replica [12] failed: TypeError: on purpose/),
        stack: expect.stringMatching(/mirrored\.mjs:\d+/),
      },
      'wrong data': { message: expect.stringMatching(/shape \[64,5\]/) },
      'well again': { ok: true },
      dies: replica(/replica [12] exited with code 3/),
      callback: { message: 'of the person' },
      'predict within': { ok: true },
      dataset: { message: expect.stringMatching(/no more/) },
      elsewhere: refused(/^model 'sequential_\d+' was built elsewhere: its variable '.*kernel'/),
      'compiled elsewhere': refused(/model 'sequential_\d+' was compiled outside of scope/),
      'trained elsewhere': refused(/model 'sequential_\d+' was compiled outside of scope/),
      'fit within scope': refused(/fit was called within scope/),
      'two at once': refused(/while fit of the same strategy is under way/),
      'closed under way': { ok: true },
      closed: refused(/is closed/),
    })
  })
})
