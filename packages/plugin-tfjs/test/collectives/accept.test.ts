import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { expect, it } from 'vitest'
import { openDoor } from '../../src/collectives/worker/accept.js'
import { drawNonce, proof } from '../../src/collectives/worker/handshake.js'
import { PROTOCOL } from '../../src/collectives/worker/protocol.js'

it('leaves what comes with the proof to whoever is admitted', async () => {
  const group = { size: 2, secret: Buffer.alloc(32, 1), name: '', version: '1' }
  const parties = { from: 1, to: 0, kind: 'control' } as const
  const came: string[] = []
  let told = () => {}
  const all = new Promise<void>((resolve) => (told = resolve))
  const admit = (socket: Socket) => {
    socket.on('data', (chunk) => {
      came.push(chunk.toString())
      if (came.join('').includes('last')) told()
    })
    socket.resume()
    return true
  }
  const turned: string[] = []
  const turnedAway = (_: number, why: string) => void turned.push(why)
  const doorman = { rank: 0, group, admit, turnedAway }
  const door = await openDoor({ tcp: { host: '127.0.0.1', port: 0 } }, doorman)
  const socket = connect(door.port!, '127.0.0.1')
  const nonce = drawNonce()
  const hello = { gangflow: 'collectives', protocol: PROTOCOL, version: group.version, size: group.size, nonce }
  socket.write(`${JSON.stringify({ ...hello, ...parties })}\n`)
  const [answer] = await once(socket, 'data')
  const { nonce: answered } = JSON.parse(String(answer)) as { nonce: string }
  const proven = JSON.stringify({ proof: proof(group, 'dials', parties, nonce, answered) })
  // A heartbeat and a frame, in one piece with the proof.
  socket.write(`${proven}\n\n{"first":1}\n`)
  setTimeout(() => socket.write('last\n'), 50)
  await Promise.race([all, once(socket, 'close')])
  expect(turned).toEqual([])
  expect(came.join('')).toBe('\n{"first":1}\nlast\n')
  socket.destroy()
  door.close()
})
