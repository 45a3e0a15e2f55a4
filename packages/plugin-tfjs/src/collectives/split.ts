import type { Part } from './contract.js'

/** The elements of `length` that belong to a rank: the first `length % size` ranks have one more than the others. */
export function partOf(length: number, size: number, rank: number): Part {
  const least = Math.floor(length / size)
  const more = length % size
  const begin = rank * least + Math.min(rank, more)
  return { begin, end: begin + least + (rank < more ? 1 : 0) }
}
