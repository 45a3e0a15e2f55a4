// Metaflow's BigSum: a step that sums a large matrix by rows on all cores. There the parallel sum is no faster than the
// plain one, because each part is a process of its own; here workers are threads that read the same memory.
import { FlowSpec, parameter, step } from '@gangflow/core'
import { parallelMap, shared } from '@gangflow/core/parallel'

export default class BigSum extends FlowSpec {
  readonly side = parameter.number({ default: 4000, help: 'rows and columns of the matrix' })

  sum = 0
  plain = 0
  tookMs = 0
  plainMs = 0

  @step async start() {
    const columns = this.side
    const rows = 8
    const matrix = shared.float64(columns * columns)
    for (let index = 0; index < matrix.length; index++) matrix[index] = (index % 10) / 10

    const sumOf = (from: number, to: number): number => {
      let sum = 0
      for (let index = from; index < to; index++) sum += matrix[index]!
      return sum
    }
    const step = Math.ceil(matrix.length / rows)
    const starts = Array.from({ length: rows }, (_, row) => row * step)
    const sumFrom = (from: number): number => sumOf(from, Math.min(from + step, matrix.length))

    let begun = performance.now()
    this.plain = starts.map(sumFrom).reduce((one, other) => one + other)
    this.plainMs = performance.now() - begun

    begun = performance.now()
    const parts = await parallelMap(starts, sumFrom)
    this.sum = parts.reduce((one, other) => one + other)
    this.tookMs = performance.now() - begun
    this.next(this.end)
  }

  @step end() {
    console.log(`The sum is ${this.sum.toFixed(1)}; a plain loop says ${this.plain.toFixed(1)}.`)
    console.log(
      `In parallel, start of the workers included: ${this.tookMs.toFixed(0)} ms; in a loop: ${this.plainMs.toFixed(0)} ms.`,
    )
  }
}
