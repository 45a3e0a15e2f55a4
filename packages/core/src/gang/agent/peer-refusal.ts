import type { ErrorFacts } from '../../errors/base.js'
import type { Hello } from '../handshake.js'
import type { Formation } from '../protocol.js'

/** Why an agent takes no connection of this peer, or nothing: another epoch, a stranger, an unknown purpose. */
export function peerRefusal(formation: Formation | undefined, seen: number, hello: Hello): ErrorFacts | undefined {
  const epoch = formation?.epoch ?? seen
  if (!formation || hello.epoch !== epoch) {
    return {
      code: 'E_GANG_EPOCH',
      what: `a peer of epoch ${hello.epoch} was refused: epoch ${epoch} is ${formation ? 'current' : 'over'}`,
      fix: 'it belongs to an earlier formation of this gang and ends by itself',
    }
  }
  if (!formation.roster.entries.some((entry) => entry.memberId === hello.member)) {
    return {
      code: 'E_GANG_STRANGER',
      what: `member '${hello.member}' is not in epoch ${epoch}`,
      fix: 'it came too late',
    }
  }
  if (!/^(?:peer|copy|pulse|roster|stream:.+)$/.test(hello.purpose)) {
    return {
      code: 'E_GANG_PROTOCOL',
      what: `an agent takes no '${hello.purpose}' connection`,
      fix: 'use the same version everywhere',
    }
  }
  return undefined
}
