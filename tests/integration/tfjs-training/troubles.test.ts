import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { difference, Ranks, type Trained } from './ranks.js'

describe('training over a gang', () => {
  let ranks: Ranks
  beforeAll(() => {
    ranks = new Ranks('wasm', 4)
  })
  afterAll(() => ranks.end())

  it('takes a script as it is written for one process, and stops early alike everywhere', async () => {
    type Script = { history: Record<string, number[]>; hash: string; loss: number; batches: number }
    const all = await ranks.results<Script>('script', { size: 4 })
    const [{ history, batches }] = all as [Script]
    expect(Object.keys(history).sort()).toEqual(['acc', 'loss', 'val_acc', 'val_loss'])
    // Noise cannot be learnt: the validation's loss grows long before 60 epochs are over.
    const epochs = history['loss']!.length
    expect(epochs).toBeLessThan(60)
    expect(batches).toBe(5 * epochs)
    expect(history['loss']!.at(-1)).toBeLessThan(history['loss']![0]!)
    for (const one of all) expect(one).toEqual(all[0])
  })

  it('takes whatever fit and fitDataset take, as one process does', async () => {
    type Options = {
      weights: number[]
      history: Record<string, number[]>[]
      seen: unknown[][]
      epoch: number[]
      loss: number
    }
    const [alone] = await ranks.results<Options>('options', { size: 1 })
    const all = await ranks.results<Options>('options', { size: 3 })
    for (const { weights, history, seen, epoch, loss } of all) {
      expect(difference(weights, alone!.weights)).toBeLessThanOrEqual(1e-5)
      expect(loss).toBeCloseTo(alone!.loss, 5)
      expect([seen, epoch]).toEqual([alone!.seen, alone!.epoch])
      history.forEach((one, at) => {
        const expected = alone!.history[at]!
        expect(Object.keys(one).sort()).toEqual(Object.keys(expected).sort())
        for (const [name, values] of Object.entries(expected))
          expect(difference(one[name]!, values), `${name} of ${at}`).toBeLessThanOrEqual(1e-4)
      })
    }
  })

  it('averages what is not trained, and ends members’ own datasets together', async () => {
    const options = { model: 'normed', size: 4, rows: 200, batchSize: 16 }
    for (const by of ['fit', 'own']) {
      const all = await ranks.results<Trained>('train', { ...options, by })
      expect(new Set(all.map(({ hash }) => hash)).size, by).toBe(1)
      expect(new Set(all.map(({ evaluated }) => `${evaluated}`)).size, by).toBe(1)
    }
  })

  it('takes the batch size as each member’s own where it is asked to', async () => {
    const [alone] = await ranks.results<Trained>('train', { size: 1, model: 'mlp', batchSize: 32 })
    const strategy = { batchSize: 'member' }
    const group = await ranks.results<Trained>('train', { size: 4, model: 'mlp', batchSize: 8, strategy })
    expect(difference(group[0]!.weights!, alone!.weights!)).toBeLessThanOrEqual(1e-5)
  })

  it.each(['error', 'skip', 'ignore'])('meets a gradient that is no number: %s', async (policy) => {
    type Nan = { finite: boolean; history: { loss: number[] }; hash: string }
    const answers = await ranks.answers<Nan>('nan', { size: 2, policy } as { size: number })
    if (policy === 'error') {
      for (const answer of answers) {
        expect(answer?.error).toMatchObject({ code: 'E_TF_NAN', rank: 1 })
        expect(answer?.error?.what).toMatch(/^step 2: the gradient of '.*kernel' is not finite, from rank 1$/)
      }
      return
    }
    const [first, second] = answers.map((answer) => answer?.result)
    expect(first?.finite).toBe(policy === 'skip')
    expect(second?.hash).toBe(first?.hash)
    if (policy === 'skip') expect(first?.history.loss.every(Number.isFinite)).toBe(true)
  })

  it.each([
    [
      'model',
      'E_TF_MODEL',
      /^rank 1 has another model: variable 0 is 'dense_Dense\/kernel' float32\[100, 13\] there, .*\[100, 12\]/,
    ],
    ['optimizer', 'E_TF_MODEL', /^rank 1 has another model: its optimizer is SGD {"learningRate":0.2}/],
    ['rows', 'E_TF_FIT', /^fit: rows is 63 on rank 1, 64 on rank 0$/],
  ])('refuses another %s by name, on every rank', async (what, code, text) => {
    const answers = await ranks.answers('mismatch', { size: 3, what } as { size: number })
    for (const answer of answers) {
      expect(answer?.error).toMatchObject({ code, rank: 1 })
      expect(answer?.error?.what).toMatch(text)
    }
  })

  it('does not wait for ever for one that never trains', async () => {
    const answers = await ranks.answers('absent', { size: 3 })
    expect(answers[1]?.result).toBe('elsewhere')
    for (const rank of [0, 2]) expect(answers[rank]?.error?.code).toMatch(/^E_TF_CALL_(?:TIMEOUT|ABORTED)$/)
    expect(answers.some((answer) => /rank 1/.test(answer?.error?.what ?? ''))).toBe(true)
  })

  it('ends on every rank when one is killed just after an exchange, or at any time during fit', async () => {
    const early = await ranks.answers('forever', { size: 4, dying: 3 } as { size: number })
    expect(early[3]).toBeUndefined()
    for (const answer of early.slice(0, 3)) expect(answer?.error).toMatchObject({ code: 'E_TF_RANK_LOST', rank: 3 })
    const answers = ranks.answers('forever', { size: 3 })
    await once(ranks.children[2]!, 'message')
    ranks.children[2]!.kill('SIGKILL')
    const all = await answers
    expect(all[2]).toBeUndefined()
    for (const rank of [0, 1]) expect(all[rank]?.error).toMatchObject({ code: 'E_TF_RANK_LOST', rank: 2 })
  })
})
