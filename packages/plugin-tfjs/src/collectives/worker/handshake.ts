import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { PROTOCOL } from './protocol.js'

export type LinkKind = 'data' | 'control'

/** Who dials whom for what. */
export interface Parties {
  readonly from: number
  readonly to: number
  readonly kind: LinkKind
}

/** What both sides must have alike. */
export interface Group {
  readonly size: number
  readonly secret: Uint8Array
  readonly name: string
  readonly version: string
}

/** Longest line of a handshake, and how long the whole may take. */
export const LINE_LIMIT = 1024
export const GREETING_MS = 10_000

export const drawNonce = (): string => randomBytes(32).toString('hex')

/** Proof of the secret by one side: covers who talks to whom, for what, and what both have drawn. */
export function proof(
  group: Group,
  role: 'dials' | 'answers',
  { from, to, kind }: Parties,
  dialled: string,
  answered: string,
): string {
  const hmac = createHmac('sha256', group.secret)
  for (const part of [
    'gangflow/collectives',
    PROTOCOL,
    group.name,
    group.size,
    role,
    from,
    to,
    kind,
    dialled,
    answered,
  ]) {
    const bytes = Buffer.from(String(part))
    const length = Buffer.alloc(4)
    length.writeUInt32BE(bytes.length)
    hmac.update(length).update(bytes)
  }
  return hmac.digest('hex')
}

export function sameProof(expected: string, given: unknown): boolean {
  if (typeof given !== 'string') return false
  const [one, other] = [Buffer.from(expected), Buffer.from(given)]
  return one.length === other.length && timingSafeEqual(one, other)
}

/** The first line, of the side that dials. */
export interface Hello extends Parties {
  readonly gangflow: 'collectives'
  readonly protocol: number
  readonly version: string
  readonly size: number
  readonly nonce: string
}

/** The second line, of the side that answers: its proof, or why not. */
export type Answer =
  | { readonly nonce: string; readonly proof: string }
  | { readonly refused: 'protocol' | 'rank'; readonly version: string }

export function parseLine(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

/** A hello that has the form of one, whatever it claims. */
export function asHello(line: string): Hello | undefined {
  const value = parseLine(line)
  const { gangflow, protocol, from, to, size, kind, nonce } = value ?? {}
  const numbers = [protocol, from, to, size].every((one) => Number.isInteger(one))
  if (gangflow !== 'collectives' || !numbers || typeof nonce !== 'string') return undefined
  if (kind !== 'data' && kind !== 'control') return undefined
  return value as unknown as Hello
}
