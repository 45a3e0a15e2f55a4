import { readable } from '../codec.js'
import { itemErrorOf } from '../item-error.js'
import type { Done } from '../protocol.js'
import type { Flying } from './flying.js'

/** Gives a job what a worker says of a batch. */
export function takeResults(flying: Flying, done: Done): void {
  const { job, chunk } = flying
  const values = readable(done.values)
  const failed = new Map(done.errors)
  if (done.stored) takeStored(flying, done.stored)
  if (typeof done.at === 'number' && failed.size === 0) {
    flying.settleRun(done.at, values.length)
    job.values(chunk.first + done.at, values)
    return
  }
  for (let index = 0; index < values.length; index++) {
    const position = typeof done.at === 'number' ? done.at + index : done.at[index]!
    flying.settle(position)
    if (!failed.has(position)) job.values(chunk.first + position, [values[index]])
  }
  for (const [position, wire] of failed) {
    flying.settle(position)
    const index = chunk.first + position
    job.itemFailed(index, itemErrorOf(wire, index, chunk.items[position], job.spec.writes))
  }
}

/** Results that a worker left in the segment's memory. */
function takeStored(flying: Flying, stored: readonly number[]): void {
  const { job, chunk } = flying
  const { results } = chunk.segment!
  for (let at = 0; at < stored.length; at += 2) {
    const [from, to] = [stored[at]!, stored[at + 1]!]
    flying.settleRun(from, to - from)
    job.values(chunk.first + from, results.subarray(from, to))
  }
}
