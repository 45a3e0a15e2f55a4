import { parseAddress } from '../../ssh/address.js'
import type { Mesh } from '../../ssh/contract.js'
import type { ProbeAnswer, ProbeOrder, TriedAddress } from '../protocol.js'

/** Peers that are called at once: a handshake costs milliseconds of processor on both sides. */
const AT_ONCE = 16

/** Tries which addresses of these members serve from here. */
export async function probePeers(mesh: Mesh, { peers, limitMs, each }: ProbeOrder): Promise<ProbeAnswer[]> {
  const signal = AbortSignal.timeout(limitMs)
  const answers: ProbeAnswer[] = []
  const waiting = [...peers]
  const worker = async () => {
    for (let peer = waiting.shift(); peer !== undefined; peer = waiting.shift()) {
      const target = parseAddress(peer.listens)
      const probed = target ? await mesh.probe(target, { signal, each }) : []
      const tried = probed.flatMap(({ place, ...what }): TriedAddress[] =>
        'host' in place ? [{ address: place.host, ...what }] : [],
      )
      answers.push({ memberId: peer.memberId, tried })
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, peers.length) }, worker))
  return answers
}
