/** All bytes, when they are few; else all as a stream again. */
export type Gathered =
  | { readonly whole: Uint8Array; readonly rest?: undefined }
  | { readonly whole?: undefined; readonly rest: Uint8Array | AsyncIterable<Uint8Array> }

/** Looks whether there are more than `few` bytes, holding not many more than those. */
export async function gather(data: Uint8Array | AsyncIterable<Uint8Array>, few: number): Promise<Gathered> {
  if (data instanceof Uint8Array) return data.length <= few ? { whole: data } : { rest: data }
  const source = data[Symbol.asyncIterator]()
  const held: Uint8Array[] = []
  let size = 0
  while (size <= few) {
    const { done, value } = await source.next()
    if (done) return { whole: held.length === 1 ? held[0]! : Buffer.concat(held) }
    held.push(value)
    size += value.length
  }
  return { rest: resumed(held, source) }
}

async function* resumed(held: Uint8Array[], source: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    for (let piece = held.shift(); piece; piece = held.shift()) yield piece
    for (;;) {
      const { done, value } = await source.next()
      if (done) return
      yield value
    }
  } finally {
    await source.return?.()
  }
}
