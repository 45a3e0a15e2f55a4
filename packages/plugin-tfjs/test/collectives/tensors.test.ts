import * as tf from '@tensorflow/tfjs'
import { describe, expect, it } from 'vitest'
import { connect } from '../../src/collectives/connect.js'
import { tensorCollectives } from '../../src/collectives/tensors.js'

describe('tensorCollectives', () => {
  it('keeps shape and kind, gives new tensors, and leaves the given ones', async () => {
    await tf.setBackend('cpu')
    const c = await connect({ rank: 0, size: 1, addresses: ['/a'], secret: new Uint8Array(32) })
    const t = tensorCollectives<tf.Tensor>(c, tf)
    const given = tf.tensor2d([
      [1, 2],
      [3, 4],
    ])
    for (const got of [
      await t.allReduce(given, { reduction: 'mean' }),
      t.allReduceSync(given),
      await t.broadcast(given),
      t.broadcastSync(given),
      await t.allGather(given),
      t.allGatherSync(given),
    ]) {
      expect(got).not.toBe(given)
      expect([got.shape, got.dtype, [...got.dataSync()]]).toEqual([[2, 2], 'float32', [1, 2, 3, 4]])
    }
    expect([...given.dataSync()]).toEqual([1, 2, 3, 4])
    expect((await t.allGather(tf.scalar(true, 'bool'))).shape).toEqual([1])
    await expect(t.allReduce(tf.scalar(true, 'bool'))).rejects.toMatchObject({ code: 'E_TF_VALUES' })
    await expect(t.broadcast(tf.tensor1d(['text']))).rejects.toMatchObject({ code: 'E_TF_VALUES' })
  })
})
