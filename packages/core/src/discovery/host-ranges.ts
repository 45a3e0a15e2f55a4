import type { Variables } from './variables.js'

/** Hosts of one bracket; the same limit as Slurm's. */
const LIMIT = 65_536

/**
 * Slurm's short form of a list of hosts, as `scontrol show hostnames` writes it out: `n[1-3,07]x[0-1],login`. Zeros before the first number of a range are kept, nothing is sorted or left out. Text after the last
 * bracket, which scontrol refuses, is taken as part of the name.
 */
export function expandHosts(list: string, name: string, about: Variables): string[] {
  const refuse = (): never => about.wrong(name, list, 'a list of hosts such as n[1-3,7],login')
  const hosts = split(list).flatMap((part) => {
    if (part === undefined || /\s/.test(part)) return refuse()
    const pieces = part.split(/[[\]]/)
    const brackets = pieces.flatMap((piece, at) => (at % 2 === 1 ? [range(piece) ?? refuse()] : []))
    if (brackets.reduce((product, { length }) => product * length, 1) > LIMIT) return refuse()
    return combinations(brackets).map((chosen) =>
      pieces.map((piece, at) => (at % 2 === 1 ? chosen[(at - 1) / 2] : piece)).join(''),
    )
  })
  return hosts.length > 0 ? hosts : refuse()
}

/** One choice of each bracket, in scontrol's order: the last runs fastest, then the first, the second and so on. */
function combinations(brackets: readonly (readonly string[])[]): string[][] {
  const last = brackets.at(-1)
  if (!last) return [[]]
  let before: string[][] = [[]]
  for (const choices of brackets.slice(0, -1)) before = choices.flatMap((one) => before.map((some) => [...some, one]))
  return before.flatMap((some) => last.map((one) => [...some, one]))
}

/** Parts between the commas outside of brackets; undefined for one whose brackets do not match. */
function split(list: string): (string | undefined)[] {
  const parts = list.match(/(?:\[[^[\]]*\]|[^,[\]]|[[\]])+/g) ?? []
  return parts.map((part) => part.trim()).flatMap((part) => (part === '' ? [] : [isWhole(part) ? part : undefined]))
}

const isWhole = (part: string): boolean => !/[[\]]/.test(part.replaceAll(/\[[^[\]]+\]/g, ''))

/** `1-3,07` written out. */
function range(text: string): string[] | undefined {
  const all: string[] = []
  for (const piece of text.split(',')) {
    const [, low, high = low] = /^(\d{1,18})(?:-(\d{1,18}))?$/.exec(piece) ?? []
    if (low === undefined || Number(high) < Number(low) || Number(high) - Number(low) >= LIMIT) return undefined
    for (let one = Number(low); one <= Number(high); one++) all.push(String(one).padStart(low.length, '0'))
  }
  return all
}

/** `2(x3),1` as 2, 2, 2, 1; undefined for anything else. */
export function repeated(text: string): number[] | undefined {
  const all: number[] = []
  for (const piece of text.split(',')) {
    const [, count, times = '1'] = /^(\d{1,9})(?:\(x(\d{1,6})\))?$/.exec(piece.trim()) ?? []
    if (count === undefined || all.length + Number(times) > LIMIT) return undefined
    for (let i = 0; i < Number(times); i++) all.push(Number(count))
  }
  return all
}
