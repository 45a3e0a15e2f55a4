import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { difference, Ranks, type Trained } from './ranks.js'

describe.each(['wasm', 'tfjs-node'])('MultiWorkerMirroredStrategy on %s', (backend) => {
  let ranks: Ranks
  beforeAll(() => {
    ranks = new Ranks(backend, 4)
  })
  afterAll(() => ranks.end())

  /** Trains alone, on two and on four ranks; says how far the weights come apart, and checks what must be the same. */
  async function compare(options: Record<string, unknown>): Promise<Trained> {
    const [alone] = await ranks.results<Trained>('train', { size: 1, ...options })
    const groups: Trained[][] = []
    for (const size of [2, 4]) groups.push(await ranks.results<Trained>('train', { size, ...options }))
    for (const group of groups) {
      const about = `${group.length} ranks, ${JSON.stringify(options)}`
      expect(new Set(group.map(({ hash }) => hash)).size, about).toBe(1)
      const [first] = group as [Trained]
      expect(difference(first.weights!, alone!.weights!), about).toBeLessThanOrEqual(1e-5)
      for (const { history, seen, left } of group) {
        expect(history, about).toEqual(first.history)
        expect(seen, about).toEqual(first.seen)
        expect(left, about).toBeLessThanOrEqual(alone!.left)
      }
      for (const [name, values] of Object.entries(alone!.history))
        expect(difference(first.history[name]!, values), `${name}, ${about}`).toBeLessThanOrEqual(1e-4)
    }
    return alone!
  }

  it.each([
    ['cnn', 'sgd'],
    ['cnn', 'momentum'],
    ['cnn', 'adam'],
    ['mlp', 'sgd'],
    ['mlp', 'momentum'],
    ['mlp', 'adam'],
  ])('gives the weights of one process: %s, %s, 24 steps', async (model, optimizer) => {
    const { history } = await compare({ model, optimizer })
    expect(history['loss']).toHaveLength(3)
  })

  it('weighs unequal shards by their rows, down to batches of fewer rows than ranks', async () => {
    await compare({ model: 'cnn', optimizer: 'adam', rows: 242, batchSize: 30 })
    await compare({ model: 'l2', optimizer: 'momentum', rows: 100, batchSize: 33, fit: { validationSplit: 0.15 } })
    await compare({ model: 'mlp', rows: 100, batchSize: 33, fit: { classWeight: { 0: 1, 1: 5, 2: 1, 3: 0.1 } } })
  })

  it('does so for datasets, single batches, and loops of one’s own', async () => {
    await compare({ model: 'cnn', optimizer: 'adam', rows: 242, batchSize: 30, by: 'fitDataset' })
    await compare({ model: 'mlp', optimizer: 'momentum', rows: 242, batchSize: 30, by: 'trainOnBatch' })
    await compare({ model: 'mlp', optimizer: 'adam', rows: 242, batchSize: 30, by: 'run' })
  })
})
