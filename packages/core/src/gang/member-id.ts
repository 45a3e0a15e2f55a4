/** `m0` … `m9`, `m00` … `m63`: sorted as text they are in the order of the indices. */
export const memberIdOf = (index: number, size: number): string =>
  `m${String(index).padStart(String(size - 1).length, '0')}`
