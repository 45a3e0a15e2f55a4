import { rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import {
  type Answer,
  asHello,
  drawNonce,
  GREETING_MS,
  type Group,
  LINE_LIMIT,
  parseLine,
  proof,
  sameProof,
} from './handshake.js'
import { PROTOCOL } from './protocol.js'

/** Strangers at a time, before they have proven anything. */
const MOST_STRANGERS = 64
/** Why most are turned away; nobody's word counts for more than this account of it. */
export const OTHER_SECRET = 'it does not hold the same secret'

export interface Doorman {
  readonly rank: number
  readonly group: Group
  /** Whoever proved to be that rank. The socket is paused. False: not wanted. */
  admit(socket: Socket, from: number, kind: 'data' | 'control'): boolean
  /** Someone came with a wrong proof or another version: told when the connecting fails for want of that rank. */
  turnedAway(from: number, why: string): void
}

export interface Door {
  readonly path?: string
  readonly port?: number
  close(): void
}

/** Listens, and lets in who proves to know the secret. */
export async function openDoor(
  listen: { readonly path?: string; readonly tcp?: { readonly host: string; readonly port: number } },
  doorman: Doorman,
): Promise<Door> {
  const strangers = new Set<Socket>()
  const meet = (socket: Socket) => {
    if (strangers.size >= MOST_STRANGERS) return void socket.destroy()
    strangers.add(socket)
    socket.once('close', () => strangers.delete(socket))
    greet(socket, doorman, () => strangers.delete(socket))
  }
  const servers: Server[] = []
  const open = async (options: object) => {
    const server = createServer({ noDelay: true }, meet)
    servers.push(server)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(options, () => resolve())
    })
    return server
  }
  const close = () => {
    for (const server of servers) server.close()
    for (const socket of strangers) socket.destroy()
    if (listen.path) rmSync(listen.path, { force: true })
  }
  try {
    if (listen.path) await open({ path: listen.path })
    const tcp = listen.tcp ? await open(listen.tcp) : undefined
    const address = tcp?.address()
    return {
      ...(listen.path ? { path: listen.path } : {}),
      ...(address && typeof address === 'object' ? { port: address.port } : {}),
      close,
    }
  } catch (error) {
    close()
    throw error
  }
}

/** The answering side of a handshake: three lines. */
function greet(socket: Socket, { rank, group, admit, turnedAway }: Doorman, known: () => void): void {
  let held = Buffer.alloc(0)
  let isOver = false
  let expect: { hello: NonNullable<ReturnType<typeof asHello>>; proof: string } | undefined
  const timer = setTimeout(() => socket.destroy(), GREETING_MS)
  socket.on('error', () => socket.destroy())
  socket.once('close', () => clearTimeout(timer))
  const answer = (value: Answer) => socket.write(`${JSON.stringify(value)}\n`)
  const line = (text: string): boolean => {
    if (!expect) {
      const hello = asHello(text)
      if (!hello) return false
      const { from, kind, protocol, version, size, to, nonce: dialled } = hello
      if (protocol !== PROTOCOL) {
        turnedAway(from, `it speaks version ${protocol} of the protocol (package ${version})`)
        answer({ refused: 'protocol', version: group.version })
        return false
      }
      if (to !== rank || size !== group.size || from === rank || from < 0 || from >= size) {
        answer({ refused: 'rank', version: group.version })
        return false
      }
      const nonce = drawNonce()
      const parties = { from, to, kind }
      answer({ nonce, proof: proof(group, 'answers', parties, dialled, nonce) })
      expect = { hello, proof: proof(group, 'dials', parties, dialled, nonce) }
      return true
    }
    const { hello } = expect
    if (!sameProof(expect.proof, parseLine(text)?.['proof'])) {
      turnedAway(hello.from, OTHER_SECRET)
      return false
    }
    clearTimeout(timer)
    socket.off('data', read)
    socket.pause()
    known()
    isOver = true
    return admit(socket, hello.from, hello.kind)
  }
  const read = (chunk: Buffer) => {
    held = Buffer.concat([held, chunk])
    for (let at = held.indexOf(10); at >= 0; at = held.indexOf(10)) {
      const text = held.subarray(0, at).toString()
      held = held.subarray(at + 1)
      if (!line(text)) return void socket.destroySoon()
      // What came behind the proof is no more of the handshake: whoever was admitted reads it.
      if (isOver) {
        if (held.length > 0) socket.unshift(held)
        return
      }
    }
    if (held.length > LINE_LIMIT) socket.destroy()
  }
  socket.on('data', read)
}
