// The loop over a slow function, as a Vectorizer: PyBlaze's example. Each text waits 10 ms, as for a network, so that
// more workers than CPUs, or several items in work in each worker, are right.
import { parallelMap, Vectorizer } from '@gangflow/core/parallel'

const letters = ['a', 'b', 'c', 'd', 'e', ' ']
const texts = Array.from({ length: 100 }, () =>
  Array.from({ length: 20 }, () => letters[Math.floor(Math.random() * letters.length)]).join(''),
)

async function tokenize(text: string): Promise<string[]> {
  await new Promise((resolve) => setTimeout(resolve, 10))
  return text.split(' ')
}

async function timed<R>(what: string, run: () => Promise<R>): Promise<R> {
  const begun = performance.now()
  const result = await run()
  console.log(`${what.padEnd(36)} ${(performance.now() - begun).toFixed(0).padStart(6)} ms`)
  return result
}

const loop = await timed('a loop', async () => {
  const tokens: string[][] = []
  for (const text of texts) tokens.push(await tokenize(text))
  return tokens
})

await using tokenizer = new Vectorizer(tokenize, { workers: 4 })
await timed('Vectorizer, 4 workers, first time', () => tokenizer.process(texts))
const vectorized = await timed('Vectorizer, 4 workers, again', () => tokenizer.process(texts))
const concurrent = await timed('parallelMap, 2 workers, 25 each', () =>
  parallelMap(texts, tokenize, { workers: 2, concurrency: 25 }),
)
console.log(
  String(loop) === String(vectorized) && String(loop) === String(concurrent) ? 'all the same' : 'they differ!',
)
