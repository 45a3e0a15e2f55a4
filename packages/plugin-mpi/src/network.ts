import type { HostLine, PlanNode } from './world.js'

/** Which network the ranks use: what the members found to work, and not a bridge that each host has alike. */
export interface Network {
  /** For `…_if_include` of Open MPI: `10.0.0.8/29`, or interfaces by name. */
  readonly include: string
  /** The interface's name where all members have the same. */
  readonly interface?: string
}

/** Bits below which a range may hold networks that are none of the gang's. */
const NARROW = 16

/** Undefined on one host, or where nothing is known. Pure. */
export function planNetwork(nodes: readonly PlanNode[], lines: readonly HostLine[]): Network | undefined {
  if (lines.length < 2) return undefined
  const names = [...new Set(nodes.map((node) => node.interface))]
  const common = names.length === 1 && names[0] !== undefined ? { interface: names[0] } : {}
  const range = rangeOf(lines.map(({ address }) => address))
  if (range && range.bits >= NARROW) return { include: `${range.network}/${range.bits}`, ...common }
  if (names.every((name) => name !== undefined)) return { include: names.join(','), ...common }
  return range ? { include: `${range.network}/${range.bits}`, ...common } : undefined
}

/** The narrowest IPv4 range that has all of these; undefined when one is none. */
function rangeOf(addresses: readonly string[]): { network: string; bits: number } | undefined {
  const numbers = addresses.map(numberOf)
  if (numbers.some(Number.isNaN)) return undefined
  let bits = 32
  const network = (number: number) => (bits === 0 ? 0 : (number & (-1 << (32 - bits))) >>> 0)
  while (numbers.some((number) => network(number) !== network(numbers[0]!))) bits--
  const first = network(numbers[0]!)
  return { network: [24, 16, 8, 0].map((shift) => (first >>> shift) & 255).join('.'), bits }
}

function numberOf(address: string): number {
  const parts = /^(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address)?.slice(1).map(Number)
  return parts ? parts.reduce((sum, part) => sum * 256 + part, 0) : Number.NaN
}
