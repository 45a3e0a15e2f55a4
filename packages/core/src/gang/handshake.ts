import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { type ErrorFacts, GangflowError } from '../errors/base.js'
import { sameDigest, sign } from './keys.js'
import { readJsonLine, writeJsonLine } from './lines.js'

/** Of what agents, launcher and peers say to each other. Another major is refused by name. */
export const GANG_PROTOCOL = 1
const LIMIT = 16 << 10

/**
 * What a connection is for: `store` carries the datastore's relay (datastore/relay/wire.ts), `stream:` the raw bytes of
 * a channel, `roster` the packed formation; the others frames. `pulse`: signs of life between members, and the stop.
 */
export type Purpose = 'lease' | 'data' | 'store' | 'peer' | 'copy' | 'pulse' | 'roster' | `stream:${string}`

/** Who dials, as it says and proves. */
export interface Hello {
  readonly member: string
  readonly purpose: Purpose
  /** 0 before the first epoch. */
  readonly epoch: number
}

/**
 * The side that was dialled: challenges, checks the keyed answer, then asks `admit`, which gives the facts of
 * a refusal or nothing. The secret never crosses the wire, and an answer serves one challenge only.
 */
export async function challenge(
  stream: Duplex,
  key: Uint8Array,
  admit: (hello: Hello) => ErrorFacts | undefined,
  signal: AbortSignal,
): Promise<Hello> {
  const nonce = randomBytes(24).toString('base64')
  writeJsonLine(stream, { gangflow: GANG_PROTOCOL, nonce })
  const answer = await readJsonLine(stream, LIMIT, signal)
  const refuse = (facts: ErrorFacts): never => {
    writeJsonLine(stream, { ok: false, error: facts })
    stream.end()
    throw new GangflowError(facts)
  }
  const { member, purpose, epoch, nonce: theirs, mac, gangflow } = answer
  if (gangflow !== GANG_PROTOCOL) {
    return refuse({
      code: 'E_GANG_PROTOCOL',
      what: `a joiner speaks protocol ${String(gangflow)} of gangs, this side ${GANG_PROTOCOL}`,
      fix: 'use the same version of @gangflow/core for the launcher and all members',
    })
  }
  if (
    typeof member !== 'string' ||
    typeof purpose !== 'string' ||
    typeof epoch !== 'number' ||
    typeof theirs !== 'string' ||
    !sameDigest(sign(key, 'client', nonce, theirs, member, purpose, String(epoch)), mac)
  ) {
    return refuse({
      code: 'E_GANG_SECRET',
      what: 'a joiner does not know the secret of this gang',
      fix: 'it belongs to another gang or to an earlier attempt: nothing to do here',
    })
  }
  const hello: Hello = { member, purpose: purpose as Purpose, epoch }
  const refusal = admit(hello)
  if (refusal) return refuse(refusal)
  writeJsonLine(stream, { ok: true, mac: sign(key, 'server', nonce, theirs, member, purpose, String(epoch)) })
  return hello
}

/**
 * The side that dials: answers the challenge and has the other side prove itself. Rejects with the refusal's facts, and
 * ends the connection then: half open, it would count as this member's.
 */
export async function answer(stream: Duplex, key: Uint8Array, hello: Hello, signal: AbortSignal): Promise<void> {
  try {
    await prove(stream, key, hello, signal)
  } catch (error) {
    stream.destroy()
    throw error
  }
}

async function prove(stream: Duplex, key: Uint8Array, hello: Hello, signal: AbortSignal): Promise<void> {
  const first = await readJsonLine(stream, LIMIT, signal)
  if (first['gangflow'] !== GANG_PROTOCOL || typeof first['nonce'] !== 'string') {
    throw new GangflowError({
      code: 'E_GANG_PROTOCOL',
      what: `the other side speaks protocol ${String(first['gangflow'])} of gangs, this one ${GANG_PROTOCOL}`,
      fix: 'use the same version of @gangflow/core for the launcher and all members',
    })
  }
  const nonce = randomBytes(24).toString('base64')
  const parts = [first['nonce'], nonce, hello.member, hello.purpose, String(hello.epoch)] as const
  writeJsonLine(stream, { gangflow: GANG_PROTOCOL, ...hello, nonce, mac: sign(key, 'client', ...parts) })
  const reply = await readJsonLine(stream, LIMIT, signal)
  if (reply['ok'] === true && sameDigest(sign(key, 'server', ...parts), reply['mac'])) return
  if (reply['ok'] === false && typeof reply['error'] === 'object' && reply['error'] !== null)
    throw new GangflowError(reply['error'] as ErrorFacts)
  throw new GangflowError({
    code: 'E_GANG_SECRET',
    what: 'whoever answered does not know the secret of this gang',
    fix: 'something else listens at the address of the rendezvous',
  })
}
