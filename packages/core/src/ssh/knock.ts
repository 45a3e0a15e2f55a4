import { timingSafeEqual } from 'node:crypto'
import type { Socket } from 'node:net'
import { IDENT } from './algorithms.js'
import type { DeriveKey } from './contract.js'
import { doorIn } from './doors.js'

/** Bytes of a first line, as RFC 4253 limits it. */
const LONGEST = 255

/**
 * What a member says in the comment of its first line, so that in a flood it is known before anything is computed for
 * it. It lets nobody in: who has overheard it is merely waited for as long as a member.
 */
export const knockOf = (derive: DeriveKey): string => Buffer.from(derive('ssh/knock')).toString('hex').slice(0, 32)

/** The first line of a member, without the protocol's version. */
export const identOf = (derive: DeriveKey): string => `${IDENT} ${knockOf(derive)}`

/** A first line: of SSH, which is given back to the socket, or for a door, which is not. */
export interface Heard {
  /** It knocks as a member does. */
  readonly isMember: boolean
  /** The token of the door that it came for. */
  readonly door?: string
}

/**
 * What who has connected says first; undefined once the socket is closed. Who waits for the other side's line first, as
 * some clients do, is no member after `patienceMs`.
 */
export function heardKnock(socket: Socket, knock: string, patienceMs: number): Promise<Heard | undefined> {
  return new Promise((resolve) => {
    let held = Buffer.alloc(0)
    let over = false
    const done = (result: Heard | undefined) => {
      if (over) return
      over = true
      clearTimeout(timer)
      socket.off('data', read)
      socket.off('close', gone)
      socket.pause()
      if (held.length > 0 && result?.door === undefined) socket.unshift(held)
      resolve(result)
    }
    const read = (chunk: Buffer) => {
      held = Buffer.concat([held, chunk])
      const end = held.indexOf(10)
      if (end < 0 && held.length < LONGEST) return
      const line = held.subarray(0, Math.max(0, end)).toString('latin1').trimEnd()
      const door = doorIn(line)
      if (door !== undefined) return done({ isMember: false, door })
      const said = Buffer.from(line.split(' ')[1] ?? '')
      done({ isMember: said.length === knock.length && timingSafeEqual(said, Buffer.from(knock)) })
    }
    const gone = () => done(undefined)
    // In a rush this process may be late by more than that: what has come meanwhile is read first.
    const timer = setTimeout(() => setImmediate(done, { isMember: false }), patienceMs)
    socket.on('data', read)
    socket.once('close', gone)
  })
}
