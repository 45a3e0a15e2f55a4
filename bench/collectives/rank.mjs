// One rank of gangflow's collectives: for each line `COUNT REPETITIONS` on stdin an all-reduce of so many float32, timed.
import { createInterface } from 'node:readline'
import { connect } from '@gangflow/plugin-tfjs/collectives'

const [rank, way, ...addresses] = process.argv.slice(2)
const c = await connect({ rank: Number(rank), size: addresses.length, addresses, secret: Buffer.alloc(32, 1) })
// Of both, every page has been written to: new memory would cost more than what is measured.
const most = 25 * 2 ** 20
const buffer = way === 'copied' ? new Float32Array(most).fill(0) : c.buffer('float32', most)

/** `async` and `blocking` in place, in a buffer of the collectives; `copied` blocks, and copies an array of its own in and out. */
async function measure(count, repetitions) {
  const array = buffer.subarray(0, count)
  await c.barrier()
  const begun = performance.now()
  for (let at = 0; at < repetitions; at++) {
    if (way === 'async') await c.allReduce(array)
    else c.allReduceSync(array)
  }
  const took = performance.now() - begun
  // All are done before it is another's turn.
  await c.barrier()
  return took / repetitions
}

console.log('ready')
for await (const line of createInterface({ input: process.stdin })) {
  const took = await measure(...line.split(' ').map(Number))
  if (rank === '0') console.log(took)
}
await c.close()
