import { timingSafeEqual } from 'node:crypto'
import { chmodSync } from 'node:fs'
import { type AddressInfo, createServer, type Server as NetServer, type Socket } from 'node:net'
import ssh2, { type AuthContext, type Connection, type Server as SshServer } from 'ssh2'
import { GangflowError } from '../errors/base.js'
import { Admission, type AdmissionLimits } from './admission.js'
import { algorithms, IDENT } from './algorithms.js'
import type { Doors } from './doors.js'
import type { SshKey } from './keys.js'
import { heardKnock } from './knock.js'
import { parsedKey } from './parsed-key.js'
import { type Services, serveConnection } from './serve-connection.js'

/** Milliseconds after which the kernel asks whether a silent host is still there; a stopped process does not matter. */
const KEEPALIVE_MS = 30_000
/** After which who has said nothing is no member; some clients wait for the server's word. Where many come, longer. */
const SILENCE_MS = 200
const LONGEST_SILENCE_MS = 3_000

export interface ServerOptions {
  readonly host: SshKey
  /** The only key that is let in. */
  readonly client: SshKey
  /** What members say in their first line. */
  readonly knock: string
  readonly services: Services
  readonly doors: Doors
  readonly admission?: AdmissionLimits
}

/** The SSH server of a member: no sshd, no root, one key. */
export class MeshServer {
  readonly #ssh: SshServer
  readonly #listeners: NetServer[] = []
  readonly #sockets = new Set<Socket>()
  readonly #admission: Admission
  readonly #client: SshKey
  readonly #knock: string
  readonly #doors: Doors

  constructor(options: ServerOptions) {
    this.#doors = options.doors
    this.#admission = new Admission(options.admission)
    this.#client = options.client
    this.#knock = options.knock
    // ssh2 would take a stopped client for dead after 45 s; whether a host lives is asked of TCP.
    ;(ssh2.Server as unknown as { KEEPALIVE_CLIENT_INTERVAL: number }).KEEPALIVE_CLIENT_INTERVAL = 0
    const hostKeys = [{ key: parsedKey(options.host) as unknown as string }]
    this.#ssh = new ssh2.Server({ hostKeys, algorithms, ident: IDENT }, (connection) =>
      this.#greet(connection, options.services),
    )
    this.#ssh.on('error', () => {})
  }

  /** Binds one port on every address; rejects with `E_MESH_LISTEN`. Without addresses: all, of both families. */
  async listen(addresses: readonly string[], port: number): Promise<number> {
    let chosen = port
    for (const host of addresses.length > 0 ? addresses : ['::']) {
      const at = (address: string) => this.#bind({ host: address, port: chosen })
      chosen = await at(host).catch((cause: NodeJS.ErrnoException) => {
        if (addresses.length === 0 && cause.code === 'EAFNOSUPPORT') return at('0.0.0.0')
        throw listenError(`${host}${port === 0 ? '' : ` port ${port}`}`, cause)
      })
    }
    return chosen
  }

  /** Listens on a unix socket of this user alone, too. */
  async listenAt(path: string): Promise<void> {
    await this.#bind({ path }).catch((cause: NodeJS.ErrnoException) => {
      throw listenError(path, cause)
    })
    chmodSync(path, 0o600)
  }

  #bind(place: { host: string; port: number } | { path: string }): Promise<number> {
    const server = createServer(
      { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEPALIVE_MS },
      (socket) => void this.#admit(socket),
    )
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.listen({ ...place, backlog: 1024 }, () => {
        server.off('error', reject)
        server.on('error', () => {})
        this.#listeners.push(server)
        resolve('path' in place ? 0 : (server.address() as AddressInfo).port)
      })
    })
  }

  /** Takes no new connections. */
  stopListening(): void {
    for (const server of this.#listeners.splice(0)) server.close()
  }

  close(): void {
    this.stopListening()
    for (const socket of this.#sockets) socket.destroy()
  }

  async #admit(socket: Socket): Promise<void> {
    socket.on('error', () => {})
    this.#sockets.add(socket)
    socket.once('close', () => this.#sockets.delete(socket))
    this.#admission.enter(socket)
    const silence = Math.min(LONGEST_SILENCE_MS, SILENCE_MS * (1 + this.#admission.silent / 32))
    const heard = await heardKnock(socket, this.#knock, silence)
    if (heard?.door !== undefined) {
      this.#admission.passed(socket)
      return this.#doors.enter(heard.door, socket)
    }
    if (heard && (await this.#admission.admit(socket, heard.isMember))) this.#ssh.injectSocket(socket)
  }

  #greet(connection: Connection, services: Services): void {
    const socket = (connection as unknown as { _sock: Socket })._sock
    let from = ''
    // A broken or hostile client ends its own connection, nothing else.
    connection.on('error', () => socket.destroy())
    connection.on('authentication', (attempt) => {
      if (!this.#knows(attempt)) return void attempt.reject(['publickey'])
      from = attempt.username
      attempt.accept()
    })
    connection.on('ready', () => {
      this.#admission.passed(socket)
      serveConnection(connection, from, services)
    })
  }

  /** True for the gang's key; where there is a signature yet, for a right one. */
  #knows(attempt: AuthContext): boolean {
    if (attempt.method !== 'publickey' || attempt.key.algo !== 'ssh-ed25519') return false
    const { blob } = this.#client
    if (attempt.key.data.length !== blob.length || !timingSafeEqual(attempt.key.data, blob)) return false
    return !attempt.signature || this.#client.verify(attempt.blob!, attempt.signature)
  }
}

const listenError = (place: string, cause: NodeJS.ErrnoException) =>
  new GangflowError(
    {
      code: 'E_MESH_LISTEN',
      what: `the SSH server cannot listen at ${place} (${cause.code})`,
      fix: "see whether the address is this host's own and the port is free",
    },
    { cause },
  )
