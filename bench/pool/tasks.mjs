// The functions of the row `pool`, as Node's pools want them: exports of a file. gangflow's contestant gives the same
// functions as they stand.
export const identity = (x) => x

export async function tokenize(text) {
  await new Promise((resolve) => setTimeout(resolve, 10))
  return text.split(' ')
}

export function slow(args) {
  const n = 10_000
  let y = 0
  for (let j = 0; j < n; j++) {
    const at = j / n
    for (let i = 0; i < args.length; i++) y += at * args[i] ** (i + 1)
  }
  return y / n
}

export function slowMalloc(args) {
  const n = 100_000
  const x = new Float64Array(n)
  for (let j = 0; j < n; j++) x[j] = j / (n - 1)
  const y = new Float64Array(n)
  for (let i = 0; i < args.length; i++) {
    const power = args[i] ** (i + 1)
    for (let j = 0; j < n; j++) y[j] += x[j] * power
  }
  let sum = 0
  for (let j = 0; j < n; j++) sum += y[j]
  return sum / n
}

export const firstOf = (array) => {
  array[0] += 1
  return array
}

export function spin(ms) {
  for (const until = performance.now() + ms; performance.now() < until; );
}

/** By name. */
export const functions = { identity, tokenize, slow, slowMalloc, firstOf, spin }

const random = (seed) => () => {
  seed = (seed * 1103515245 + 12345) % 2 ** 31
  return seed / 2 ** 31
}
const records = (length) => numbers(length).map((id) => ({ id, name: `n${id}`, score: id / 3 }))
const numbers = (length) => Array.from({ length }, (_, index) => index)
const arrays = () => numbers(100).map(() => new Float64Array(1_310_720).fill(1))
const vectors = (length) => {
  const next = random(7)
  return Array.from({ length }, () => Array.from({ length: 5 }, next))
}

/** Items of each task and the function for them; `count` is what a figure is divided by. */
export const tasks = {
  numbers: { fn: 'identity', make: () => numbers(100_000), per: 100_000 },
  strings: { fn: 'identity', make: () => numbers(100_000).map((each) => `item ${each}`), per: 100_000 },
  objects: { fn: 'identity', make: () => records(100_000), per: 100_000 },
  vectors: { fn: 'identity', make: () => vectors(100_000), per: 100_000 },
  single: { fn: 'identity', make: () => numbers(5000), per: 5000, chunk: 1 },
  texts: { fn: 'identity', make: () => numbers(5000).map((each) => `item ${each}`), per: 5000, chunk: 1 },
  records: { fn: 'identity', make: () => records(5000), per: 5000, chunk: 1 },
  cloned: { fn: 'firstOf', make: arrays, chunk: 1 },
  moved: {
    fn: 'firstOf',
    make: arrays,
    check: (results) => results.every((each) => each.length === 1_310_720 && each[0] === 2 && each[1] === 1),
    chunk: 1,
    move: true,
  },
  tokenize: { fn: 'tokenize', make: () => numbers(100).map(() => 'a b c d e f g h i j'), chunk: 1, workers: 4 },
  slow: { fn: 'slow', make: () => vectors(512) },
  malloc: { fn: 'slowMalloc', make: () => vectors(400) },
  skew: { fn: 'spin', make: () => numbers(512).map((each) => (each < 64 ? 20 : 0.05)), chunk: 1 },
}
