import tf from '@tensorflow/tfjs'
import { beforeAll, describe, expect, it } from 'vitest'
import { seeded } from '../random.js'
import { alike, difference, on, type Random, values } from './both.js'

beforeAll(() => tf.ready())

/** Below and above where XNNPACK's product is taken, with and without a rest of the tiles. */
const sides = [1, 2, 3, 4, 7, 8, 13, 16, 33, 40, 67]
const flip = (random: Random) => random(2) === 1
const matrix = (outer: number[], rows: number, columns: number, turned: boolean) =>
  turned ? [...outer, columns, rows] : [...outer, rows, columns]

describe('BatchMatMul', () => {
  it('is what cpu gives, over drawn shapes', async () => {
    const random = seeded(11)
    for (let round = 0; round < 150; round++) {
      const [transposeA, transposeB] = [flip(random), flip(random)]
      const outer = random.of([[], [1], [2], [5], [2, 3], [1, 2, 2]])
      const [rows, inner, columns] = [random.of(sides), random.of([1, 2, 5, 16, 300]), random.of(sides)]
      const one = random.of([outer, outer, outer.map(() => 1)])
      const inputs = {
        a: values(random, matrix(one, rows, inner, transposeA)),
        b: values(
          random,
          matrix(one === outer && flip(random) ? outer.map(() => 1) : outer, inner, columns, transposeB),
        ),
      }
      const about = JSON.stringify([inputs.a.shape, inputs.b.shape, transposeA, transposeB])
      await alike(about, 'BatchMatMul', inputs, { transposeA, transposeB })
      tf.dispose(inputs)
    }
  })

  // cpu only repeats whole batches: it is asked with what is broadcast written out.
  it('broadcasts leading dimensions as NumPy does', async () => {
    const random = seeded(12)
    for (const [one, other] of [
      [
        [3, 1],
        [1, 4],
      ],
      [
        [2, 1, 3],
        [4, 1],
      ],
      [[4], [2, 1]],
      [[], [2, 2]],
    ] as const) {
      const [a, b] = [values(random, [...one, 5, 6]), values(random, [...other, 6, 7])]
      const outer = tf.broadcast_util.assertAndGetBroadcastShape([...one], [...other])
      const given = await on('wasm', 'BatchMatMul', { a, b }, { transposeA: false, transposeB: false })
      expect(given.shape).toEqual([...outer, 5, 7])
      await tf.setBackend('cpu')
      const [wideA, wideB] = [tf.broadcastTo(a, [...outer, 5, 6]), tf.broadcastTo(b, [...outer, 6, 7])]
      const expected = tf.matMul(wideA, wideB)
      expect(difference(given.data, expected.dataSync()), `${one} and ${other}`).toBeLessThanOrEqual(1e-5)
      tf.dispose([a, b, wideA, wideB, expected])
    }
  })

  it('of nothing is nothing, over nothing is zero', async () => {
    const product = (a: number[], b: number[]) =>
      on('wasm', 'BatchMatMul', { a: tf.zeros(a), b: tf.zeros(b) }, { transposeA: false, transposeB: false })
    expect(await product([0, 3], [3, 2])).toMatchObject({ shape: [0, 2], data: [] })
    expect(await product([2, 0], [0, 2])).toMatchObject({ shape: [2, 2], data: [0, 0, 0, 0] })
    expect(await product([0, 2, 3], [0, 3, 2])).toMatchObject({ shape: [0, 2, 2], data: [] })
  })

  it('refuses what does not fit together', async () => {
    await tf.setBackend('wasm')
    const product = () =>
      tf
        .engine()
        .runKernel(
          'BatchMatMul',
          { a: tf.zeros([2, 3]), b: tf.zeros([2, 3]) },
          { transposeA: false, transposeB: false },
        )
    expect(product).toThrow(/inner shapes \(3\) and \(2\)/)
  })
})

describe('UnsortedSegmentSum', () => {
  it('is what cpu gives, over drawn shapes, with ids that name no segment', async () => {
    const random = seeded(13)
    for (let round = 0; round < 80; round++) {
      const rows = random.between(1, 40)
      const rest = random.of([[], [1], [3], [8], [33], [2, 5]])
      const numSegments = random.between(1, 12)
      const dtype = random.of(['int32', 'float32'] as const)
      const ids = Array.from(
        { length: rows },
        () => random.between(-2, numSegments + 2) + (dtype === 'float32' && random(5) === 0 ? 0.5 : 0),
      )
      const inputs = { x: values(random, [rows, ...rest]), segmentIds: tf.tensor1d(ids, dtype) }
      await alike(JSON.stringify({ rows, rest, ids, numSegments }), 'UnsortedSegmentSum', inputs, { numSegments })
      tf.dispose(inputs)
    }
  })

  it('takes integers as cpu does, and no rows', async () => {
    const inputs = {
      x: tf.tensor2d(
        [
          [1, 2],
          [3, 4],
        ],
        [2, 2],
        'int32',
      ),
      segmentIds: tf.tensor1d([1, 1], 'int32'),
    }
    await alike('int32', 'UnsortedSegmentSum', inputs, { numSegments: 2 })
    const none = { x: tf.zeros([0, 3]), segmentIds: tf.tensor1d([], 'int32') }
    expect((await on('wasm', 'UnsortedSegmentSum', none, { numSegments: 2 })).data).toEqual(Array(6).fill(0))
  })

  it('refuses ids that are not one for each row', async () => {
    const inputs = { x: tf.zeros([2, 3]), segmentIds: tf.tensor1d([0, 1, 2], 'int32') }
    await expect(on('wasm', 'UnsortedSegmentSum', inputs, { numSegments: 2 })).rejects.toMatchObject({
      code: 'E_TF_SEGMENT_IDS',
    })
  })
})
