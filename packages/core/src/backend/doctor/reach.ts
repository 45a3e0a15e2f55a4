// Whether one machine reaches another: a listener that greets with its own token, and a caller that wants that token.
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { connect, createServer, type Server } from 'node:net'

/** Bytes after the token: more than one packet of any size, so that a path that loses large ones is seen. */
const FILLING = 64 << 10
/** Characters of a token. */
const TOKEN = 32

export interface Ear {
  readonly token: string
  /** One that the system gave (as the mesh uses), one below (as frameworks' ports are). */
  readonly ports: readonly number[]
  close(): void
}

export interface Peer {
  readonly name: string
  readonly token: string
  /** Best first. */
  readonly addresses: readonly string[]
  readonly ports: readonly number[]
}

export type Trouble =
  | 'refused'
  | 'no answer'
  | 'no route'
  | 'another machine answered'
  | 'large packets are lost'
  | string

export interface Reached {
  readonly name: string
  /** The address that served, and the round trip in milliseconds. */
  readonly address?: string
  readonly ms?: number
  /** What went wrong before, or at all. */
  readonly tries: readonly { readonly address: string; readonly port: number; readonly why: Trouble }[]
}

/** Listens on all addresses. */
export async function listen(): Promise<Ear> {
  const token = randomBytes(TOKEN / 2).toString('hex')
  const filling = Buffer.alloc(FILLING, token)
  const servers: Server[] = []
  const open = async (port: number): Promise<number | undefined> => {
    const server = createServer((socket) => {
      socket.on('error', () => {})
      socket.end(filling)
    })
    const heard = await new Promise<number | undefined>((resolve) => {
      server.once('error', () => resolve(undefined))
      server.listen(port, () => resolve((server.address() as { port: number }).port))
    })
    if (heard !== undefined) servers.push(server)
    return heard
  }
  const ports = [await open(0), await low(open)].filter((port) => port !== undefined)
  return { token, ports, close: () => servers.forEach((server) => void server.close()) }
}

/** A port below the range that the system gives out by itself. */
async function low(open: (port: number) => Promise<number | undefined>): Promise<number | undefined> {
  const top = firstEphemeral()
  for (let tried = 0; tried < 8; tried++) {
    const port = Math.max(1024, top - 1 - Math.floor(Math.random() * 10_000))
    const heard = await open(port)
    if (heard !== undefined) return heard
  }
  return undefined
}

function firstEphemeral(): number {
  try {
    return Number(readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/)[0])
  } catch {
    return 32_768
  }
}

/** Tries a peer's addresses in turn until one serves on all of its ports. */
export async function reach(peer: Peer, timeoutMs: number): Promise<Reached> {
  const tries: { address: string; port: number; why: Trouble }[] = []
  for (const address of peer.addresses) {
    const answers = await Promise.all(peer.ports.map((port) => call(address, port, peer.token, timeoutMs)))
    const bad = answers.flatMap((answer, at) =>
      typeof answer === 'number' ? [] : [{ address, port: peer.ports[at]!, why: answer }],
    )
    if (bad.length === 0 && answers.length > 0)
      return { name: peer.name, address, ms: Math.min(...(answers as number[])), tries }
    tries.push(...bad)
  }
  return { name: peer.name, tries }
}

const words: Readonly<Record<string, Trouble>> = {
  ECONNREFUSED: 'refused',
  ETIMEDOUT: 'no answer',
  EHOSTUNREACH: 'no route',
  ENETUNREACH: 'no route',
  EADDRNOTAVAIL: 'no route',
}

/** The time to connect in milliseconds, or why not. */
function call(host: string, port: number, token: string, timeoutMs: number): Promise<number | Trouble> {
  return new Promise((resolve) => {
    const started = performance.now()
    let connected: number | undefined
    let heard = ''
    let bytes = 0
    const socket = connect({ host, port })
    const end = (answer: number | Trouble) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(answer)
    }
    const timer = setTimeout(() => end(bytes > 0 ? 'large packets are lost' : 'no answer'), timeoutMs)
    socket.on('connect', () => {
      connected = performance.now() - started
    })
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (heard.length < TOKEN) heard += chunk.toString('latin1')
      if (heard.length >= TOKEN && !heard.startsWith(token)) end('another machine answered')
    })
    socket.on('end', () => end(bytes === FILLING ? connected! : 'another machine answered'))
    socket.on('error', (error: NodeJS.ErrnoException) => end(words[error.code ?? ''] ?? error.code ?? error.message))
  })
}
