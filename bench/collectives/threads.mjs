// All ranks of gangflow's collectives between threads of one process; the same lines on stdin.
import { createInterface } from 'node:readline'
import { isMainThread, Worker, workerData } from 'node:worker_threads'
import { joinThreads, shareThreads } from '@gangflow/plugin-tfjs/collectives'

const size = Number(process.argv[2])
const share = isMainThread ? shareThreads(size) : workerData.share
const orders = isMainThread ? new Int32Array(new SharedArrayBuffer(12)) : workerData.orders
const c = joinThreads(share, isMainThread ? 0 : workerData.rank)
const buffer = c.buffer('float32', 25 * 2 ** 20)

function measure(count, repetitions) {
  const array = buffer.subarray(0, count)
  c.barrierSync()
  const begun = performance.now()
  for (let at = 0; at < repetitions; at++) c.allReduceSync(array)
  const took = performance.now() - begun
  c.barrierSync()
  return took / repetitions
}

if (isMainThread) {
  for (let rank = 1; rank < size; rank++)
    new Worker(new URL(import.meta.url), { argv: process.argv.slice(2), workerData: { share, rank, orders } }).unref()
  console.log('ready')
  for await (const line of createInterface({ input: process.stdin })) {
    const [count, repetitions] = line.split(' ').map(Number)
    orders[1] = count
    orders[2] = repetitions
    Atomics.add(orders, 0, 1)
    Atomics.notify(orders, 0)
    console.log(measure(count, repetitions))
  }
  process.exit()
} else
  for (let seen = 0; ; seen = Atomics.load(orders, 0)) {
    Atomics.wait(orders, 0, seen)
    measure(orders[1], orders[2])
  }
