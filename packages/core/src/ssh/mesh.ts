import type { Duplex } from 'node:stream'
import type { ClientChannel } from 'ssh2'
import { formatAddress } from './address.js'
import type { AdmissionLimits } from './admission.js'
import { ChannelStream } from './channel.js'
import type { Candidate, DeriveKey, Mesh, MeshHost } from './contract.js'
import { Doors, enterDoor } from './doors.js'
import { clientKey, hostKey } from './keys.js'
import { knockOf } from './knock.js'
import { ownAddresses } from './own-addresses.js'
import { Pool } from './pool.js'
import { remoteProcess } from './remote-process.js'
import { CONTROL, type Services } from './serve-connection.js'
import { MeshServer } from './server.js'

export interface MeshOptions {
  readonly memberId: string
  readonly derive: DeriveKey
  readonly admission?: AdmissionLimits
}

/** Control channels that wait for `onControl`; more are closed. */
const WAITING = 1024

/** One member's part of the mesh: its server, made when it listens first, and its connections. */
export function openMesh(options: MeshOptions): Mesh {
  const { memberId, derive } = options
  const client = clientKey(derive)
  const pool = new Pool({ memberId, derive, client })
  let take: ((stream: Duplex, from: string) => void) | undefined
  let early: { stream: Duplex; from: string }[] = []
  const services: Services = {
    host: undefined,
    closing: false,
    control(stream, from) {
      stream.on('error', () => {})
      if (take) take(stream, from)
      else if (early.length < WAITING) early.push({ stream, from })
      else stream.destroy()
    },
  }
  const doors = new Doors()
  let server: MeshServer | undefined
  let listening: Promise<string> | undefined
  return {
    memberId,
    listen(place) {
      listening ??= (async () => {
        const { bind = [], port = 0, advertise = bind.length > 0 ? bind : ownAddresses() } = place
        const { admission } = options
        server = new MeshServer({
          host: hostKey(derive, memberId),
          client,
          knock: knockOf(derive),
          services,
          doors,
          ...(admission && { admission }),
        })
        const chosen = await server.listen(bind, port)
        if (place.path !== undefined) await server.listenAt(place.path)
        const candidates: Candidate[] = advertise.map((host) => ({ host, port: chosen }))
        if (place.path !== undefined) candidates.push({ path: place.path })
        return formatAddress({ memberId, candidates })
      })()
      return listening
    },
    serve(host: MeshHost) {
      services.host = host
    },
    onControl(taker) {
      take = taker
      for (const { stream, from } of early.splice(0)) taker(stream, from)
    },
    probe: (target, how) => pool.probe(target, how),
    open: (target, how) =>
      pool.channel(target, how, { ask: (connection, done) => connection.subsys(CONTROL, done), take: streamOf }),
    run(target, { command, env, terminal, subsystem }, how) {
      const pty = terminal && { term: terminal.type, cols: terminal.columns, rows: terminal.rows, width: 0, height: 0 }
      return pool.channel(target, how, {
        ask(connection, done) {
          if (subsystem !== undefined) connection.subsys(subsystem, done)
          else if (command === undefined) connection.shell(pty ?? false, { env }, done)
          else connection.exec(command, { env, ...(pty && { pty }) }, done)
        },
        take: (channel) => remoteProcess(channel, target.memberId),
      })
    },
    forward: (target, to, how) =>
      pool.channel(target, how, {
        ask(connection, done) {
          if ('path' in to) connection.openssh_forwardOutStreamLocal(to.path, done)
          else connection.forwardOut('127.0.0.1', 0, to.host, to.port, done)
        },
        take: streamOf,
      }),
    openDoor: (signal) => doors.open(signal),
    async enterDoor(target, token, { signal }) {
      const place = pool.placeFor(target)
      if (!place) throw new Error(`${target.memberId} listens nowhere`)
      return enterDoor(place, token, signal)
    },
    async stopListening() {
      services.closing = true
      server?.stopListening()
    },
    async close() {
      for (const { stream } of early) stream.destroy()
      early = []
      server?.close()
      pool.close()
    },
  }
}

function streamOf(channel: ClientChannel): Duplex {
  const stream = new ChannelStream(channel)
  stream.on('error', () => {})
  return stream
}
