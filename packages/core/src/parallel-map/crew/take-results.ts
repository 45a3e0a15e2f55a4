import { readable } from '../codec.js'
import { itemErrorOf } from '../item-error.js'
import type { Done } from '../protocol.js'
import type { Flying } from './flying.js'

/** Gives a job what a worker says of a batch. */
export function takeResults(flying: Flying, done: Done): void {
  const { job, chunk } = flying
  const values = readable(done.values)
  const failed = new Map(done.errors)
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
