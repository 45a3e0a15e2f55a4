import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { signalWithin, within } from '../src/errors/signal-within.js'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
const aborted = (signal: AbortSignal) =>
  new Promise<unknown>((resolve) => signal.addEventListener('abort', () => resolve(signal.reason), { once: true }))

it('fires though nothing but its listener knows of it', async () => {
  const long = new AbortController()
  const first = aborted(signalWithin(100, long.signal))
  // Its timer keeps no process.
  const alive = setTimeout(() => {}, 5_000)
  collect()
  expect(await first).toMatchObject({ name: 'TimeoutError' })
  clearTimeout(alive)
})

it('aborts with the reason of the first, also of one that has', async () => {
  const one = new AbortController()
  const signal = signalWithin(60_000, new AbortController().signal, one.signal)
  one.abort('enough')
  expect(signal.reason).toBe('enough')
  expect(signalWithin(60_000, one.signal).reason).toBe('enough')
})

it('is over with the work it was made for', async () => {
  const given = await within(60_000, [], async (signal) => signal)
  expect(given.aborted).toBe(true)
})
