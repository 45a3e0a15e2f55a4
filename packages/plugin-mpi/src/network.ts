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

/** Undefined on one host, or where nothing is known. `subnets` are the control's own, such as `10.0.0.5/24`. Pure. */
export function planNetwork(
  nodes: readonly PlanNode[],
  lines: readonly HostLine[],
  subnets: readonly string[],
): Network | undefined {
  if (lines.length < 2) return undefined
  const names = [...new Set(nodes.map((node) => node.interface))]
  const common = names.length === 1 && names[0] !== undefined ? { interface: names[0] } : {}
  const addresses = lines.map(({ address }) => address)
  // PRRTE takes nothing but an interface's own network.
  const own = subnets.find((subnet) => addresses.every((address) => isWithin(address, subnet)))
  if (own !== undefined) return { include: networkOf(own), ...common }
  const range = rangeOf(addresses)
  if (range && range.bits >= NARROW) return { include: `${range.network}/${range.bits}`, ...common }
  if (names.every((name) => name !== undefined)) return { include: names.join(','), ...common }
  return range ? { include: `${range.network}/${range.bits}`, ...common } : undefined
}

/** The narrowest IPv4 range that has all of these; undefined when one is none. */
function rangeOf(addresses: readonly string[]): { network: string; bits: number } | undefined {
  const numbers = addresses.map(numberOf)
  if (numbers.some(Number.isNaN)) return undefined
  let bits = 32
  while (numbers.some((number) => mask(number, bits) !== mask(numbers[0]!, bits))) bits--
  return { network: dotted(mask(numbers[0]!, bits)), bits }
}

const mask = (number: number, bits: number) => (bits === 0 ? 0 : (number & (-1 << (32 - bits))) >>> 0)
const dotted = (number: number) => [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join('.')

function isWithin(address: string, subnet: string): boolean {
  const [own = '', bits] = subnet.split('/')
  const [one, other] = [numberOf(address), numberOf(own)]
  return !Number.isNaN(one) && !Number.isNaN(other) && mask(one, Number(bits)) === mask(other, Number(bits))
}

function networkOf(subnet: string): string {
  const [own = '', bits] = subnet.split('/')
  return `${dotted(mask(numberOf(own), Number(bits)))}/${bits}`
}

function numberOf(address: string): number {
  const parts = /^(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address)?.slice(1).map(Number)
  return parts ? parts.reduce((sum, part) => sum * 256 + part, 0) : Number.NaN
}
