import { random } from './random.js'

/** Malformed bytes, the same from the same seed. */
export interface Malformed {
  below(bound: number): number
  bytes(length: number): Buffer
  /** Something like a frame with a length before it: right, too long, too short, nothing, or no frame at all. */
  frame(): Buffer
}

export function seeded(seed: number): Malformed {
  const drawn = random(seed)
  const next = () => drawn() * 2 ** 32
  const below = (bound: number) => (bound <= 0 ? 0 : next() % bound)
  const bytes = (length: number) => {
    const made = Buffer.alloc(length)
    for (let at = 0; at < length; at += 1) made[at] = next()
    return made
  }
  return {
    below,
    bytes,
    frame() {
      const content = bytes(below(64))
      const head = Buffer.alloc(4)
      head.writeUInt32BE([content.length, next(), 0, content.length + 7, 0xffffffff][below(5)]!)
      return below(6) === 0 ? content : Buffer.concat([head, content])
    },
  }
}
