// One process of the relay's bench: `owner SOCKET ROOT`, `host OWNER SOCKET CACHE`, `take SOCKET FILE` (bytes of each
// connection into a file, on disk), or the body that is measured: `put|get|warm LOCATION FILE`, `send SOCKET FILE`.
import { createReadStream, readFileSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { openDatastore } from '../../packages/core/src/datastore/open.js'
import { openHostStore } from '../../packages/core/src/datastore/relay/host-store.js'
import { wholeScope } from '../../packages/core/src/datastore/relay/scope.js'
import { RelayServer } from '../../packages/core/src/datastore/relay/server.js'

const [role, place, file, cache] = process.argv.slice(2) as [string, string, string, string]
const listen = (serve: (socket: Socket) => void) =>
  createServer({ allowHalfOpen: role === 'take' }, serve).listen(place, () => process.stdout.write('up\n'))
const dial = () =>
  new Promise<Socket>((resolve, reject) => {
    const socket = connect(place)
    socket.once('connect', () => resolve(socket))
    socket.once('error', reject)
  })
const tell = (began: number) =>
  process.stdout.write(`${JSON.stringify({ ms: performance.now() - began, rss: process.resourceUsage().maxRSS })}\n`)

const roles: Record<string, () => Promise<void>> = {
  async owner() {
    const store = await openDatastore(file)
    const server = new RelayServer({ store, scope: wholeScope, silenceMs: 60_000 })
    listen((socket) => server.serve(socket))
  },
  async host() {
    await openHostStore({ dial, socket: file, cache, silenceMs: 60_000 })
    process.stdout.write('up\n')
    process.stdin.resume()
  },
  async take() {
    listen(async (socket) => {
      const target = await open(file, 'w')
      for await (const chunk of socket.iterator({ destroyOnReturn: false })) await target.write(chunk as Buffer)
      await target.sync()
      await target.close()
      socket.end('ok')
    })
  },
  async send() {
    const began = performance.now()
    const socket = await dial()
    for await (const chunk of createReadStream(file, { highWaterMark: 256 << 10 })) {
      if (!socket.write(chunk)) await new Promise((resolve) => socket.once('drain', resolve))
    }
    socket.end()
    await new Promise((resolve) => socket.once('data', resolve))
    tell(began)
  },
  async put() {
    const store = await openDatastore(place)
    const began = performance.now()
    await store.putBlob(createReadStream(file, { highWaterMark: 4 << 20 }))
    tell(began)
    await store.close()
  },
  async get() {
    const store = await openDatastore(place)
    const hash = readFileSync(`${file}.sha256`, 'utf8').trim()
    const began = performance.now()
    const reader = store.openBlobSync(hash)
    const part = Buffer.allocUnsafeSlow(4 << 20)
    for (let left = statSync(file).size; left > 0; left -= part.length) reader.readSync(part.subarray(0, left))
    tell(began)
    await store.close()
  },
}
await roles[role]!()
process.stdin.on('end', () => process.exit())
