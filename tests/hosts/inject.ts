import type { TestHosts } from './index.js'
import type { Impairment } from './link.js'

/** Performs a fault as a person words it: `HOST delay 200 loss 5%`. Gives what to print. */
export async function inject(hosts: TestHosts, words: readonly string[]): Promise<string> {
  const [name = '', fault, ...more] = words
  if (name === 'all' && fault === 'heal') {
    await hosts.heal()
    return 'all cables are good'
  }
  if (name === 'all' && fault === 'remember') {
    await hosts.forget([])
    return 'all names are found'
  }
  const host = hosts.host(name)
  const usage = () => new Error(`${words.join(' ')} is no fault\n  fix: npm run hosts -- --help`)
  const one = <T extends string>(...known: T[]): T => {
    const found = known.find((word) => word === more[0])
    if (found === undefined || more.length > 1) throw usage()
    return found
  }
  const number = () => {
    if (more.length !== 1 || !Number.isFinite(Number(more[0]))) throw usage()
    return Number(more[0])
  }
  const what: Record<string, () => Promise<unknown>> = {
    cable: () => host.cable(one('down', 'up')),
    drop: () => host.impair({ loss: 1 }, more.length === 0 ? 'both' : one('in', 'out')),
    delay: () => bad(host, ['delay', ...more], usage),
    loss: () => bad(host, ['loss', ...more], usage),
    apart: () => hosts.partition([name], (more[0] ?? '').split(',')),
    heal: () => host.heal(),
    disk: () => (one('full', 'free') === 'full' ? host.fillDisk() : host.freeDisk()),
    clock: () => host.shiftClock(number()),
    rename: () => host.rename(more[0] ?? ''),
    forget: () => hosts.forget([name]),
    kill: () => host.kill(),
    crash: () => host.crash(),
  }
  const perform = what[fault ?? '']
  if (perform === undefined) throw usage()
  await perform()
  return `${name}: ${words.slice(1).join(' ')}`
}

const way = (words: readonly string[]): 'in' | 'out' | 'both' =>
  words.at(-1) === 'in' ? 'in' : words.at(-1) === 'out' ? 'out' : 'both'

/** `delay 200 loss 5% out`, in any order of the two. */
async function bad(host: ReturnType<TestHosts['host']>, words: readonly string[], usage: () => Error): Promise<void> {
  const impairment: { -readonly [K in keyof Impairment]: Impairment[K] } = {}
  const direction = way(words)
  const pairs = direction === 'both' ? words : words.slice(0, -1)
  for (let at = 0; at < pairs.length; at += 2) {
    const value = Number(pairs[at + 1]?.replace(/%$|ms$/, ''))
    if (!Number.isFinite(value) || value < 0) throw usage()
    if (pairs[at] === 'delay') impairment.delay = value
    else if (pairs[at] === 'loss' && value <= 100) impairment.loss = value / 100
    else throw usage()
  }
  await host.impair(impairment, direction)
}
