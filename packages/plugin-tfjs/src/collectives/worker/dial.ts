import { connect, type Socket } from 'node:net'
import type { Place } from '../contract.js'
import {
  drawNonce,
  GREETING_MS,
  type Group,
  LINE_LIMIT,
  type Parties,
  parseLine,
  proof,
  sameProof,
} from './handshake.js'
import { type FailureFacts, PROTOCOL } from './protocol.js'

/** What a dialled connection does with what it reads, once the handshake is over. */
export interface Reader {
  room(): Uint8Array
  read(count: number, into: Uint8Array): boolean
}

/** Not to be tried again. */
export class Refusal extends Error {
  constructor(readonly facts: FailureFacts) {
    super(facts.what)
  }
}

type Target = { readonly path: string } | { readonly host: string; readonly port: number }

/** Where a place can be dialled, best first: its path where this is the same machine. */
export function targetsOf(place: Place, machine: string): Target[] {
  const path = place.path !== undefined && place.machine === machine ? [{ path: place.path }] : []
  return [...path, ...(place.tcp ?? []).map(tcpTarget)]
}

export function tcpTarget(address: string): { host: string; port: number } {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(address) ?? []
  return { host: (bracketed ?? plain)!, port: Number(port) }
}

const shown = (target: Target) => ('path' in target ? target.path : `${target.host}:${target.port}`)

/** Dials one target once. Rejects with a `Refusal`, or with what may pass: nobody there yet, a break, silence. */
export function dial(target: Target, parties: Parties, group: Group, reader: Reader): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const greeting = Buffer.alloc(LINE_LIMIT)
    let filled = 0
    let over = false
    const nonce = drawNonce()
    const socket = connect({
      ...target,
      noDelay: true,
      onread: {
        buffer: () => (over ? reader.room() : greeting.subarray(filled)),
        callback: (count, into) => (over ? reader.read(count, into) : answered(count)),
      },
    })
    const stop = (error: Error) => {
      clearTimeout(timer)
      // The other side is told what was wrong with it: it may learn it in no other way.
      if (error instanceof Refusal && !socket.destroyed)
        socket.end(`${JSON.stringify({ refused: error.facts.code })}\n`)
      else socket.destroy()
      reject(error)
    }
    const timer = setTimeout(() => stop(new Error('it did not answer')), GREETING_MS)
    // Also when nobody waits any more: an error that nobody hears ends the thread.
    socket.on('error', (error) => (over ? socket.destroy() : stop(error)))
    const closed = () => stop(new Error('it closed the connection'))
    socket.once('close', closed)
    socket.once('connect', () => {
      const hello = { gangflow: 'collectives', protocol: PROTOCOL, version: group.version, size: group.size, nonce }
      socket.write(`${JSON.stringify({ ...hello, ...parties })}\n`)
    })
    const answered = (count: number): boolean => {
      filled += count
      const end = greeting.subarray(0, filled).indexOf(10)
      if (end < 0) {
        if (filled === LINE_LIMIT) stop(stranger(parties.to, target))
        return filled < LINE_LIMIT
      }
      const answer = parseLine(greeting.subarray(0, end).toString())
      const refusal = judge(answer, parties, group, nonce, target)
      if (refusal) {
        stop(refusal)
        return false
      }
      socket.write(`${JSON.stringify({ proof: proof(group, 'dials', parties, nonce, String(answer!['nonce'])) })}\n`)
      over = true
      clearTimeout(timer)
      socket.off('close', closed)
      resolve(socket)
      return true
    }
  })
}

function judge(
  answer: Record<string, unknown> | undefined,
  parties: Parties,
  group: Group,
  nonce: string,
  target: Target,
): Refusal | undefined {
  if (answer?.['refused'] === 'protocol')
    return new Refusal({
      code: 'E_TF_VERSION',
      what: `rank ${parties.to} has version ${answer['version']} of this package, and rank ${parties.from} version ${group.version}: they do not understand each other`,
      fix: 'install the same version of @gangflow/plugin-tfjs for every rank',
      rank: parties.to,
    })
  if (answer?.['refused'] === 'rank')
    return new Refusal({
      code: 'E_TF_OPTIONS',
      what: `who answers at ${shown(target)} is not rank ${parties.to} of ${group.size}`,
      fix: 'give every rank the same `addresses` and `size`, and each its own `rank`',
      rank: parties.to,
    })
  const expected = proof(group, 'answers', parties, nonce, String(answer?.['nonce']))
  return sameProof(expected, answer?.['proof']) ? undefined : stranger(parties.to, target)
}

const stranger = (rank: number, target: Target) =>
  new Refusal({
    code: 'E_TF_SECRET',
    what: `who answers at ${shown(target)}, the address of rank ${rank}, does not hold the same secret`,
    fix: 'give every rank the same `secret` and `name`; see that no other program listens there',
    rank,
  })
