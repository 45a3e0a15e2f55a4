import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, onTestFinished } from 'vitest'
import type { Datastore } from '../../src/datastore/contract.js'
import type { AttemptAddress } from '../../src/datastore/records.js'
import { openRelay, type RelayOptions } from '../../src/datastore/relay/body-store.js'
import { fixture, startFixture } from './fixture.js'
import { tempDirectory } from './helpers.js'

/** A process of the relay. */
export interface Served {
  readonly child: ChildProcess
  /** Tells it a line; gives the number that it answers with. */
  tell(line: string): Promise<number>
}

export interface Relay {
  /** Directory of the owner's datastore. */
  readonly root: string
  readonly cache: string
  /** Both answer any line with the most bytes of memory that they had. */
  readonly owner: Served
  readonly host: Served
  /** Between the two: `cut`, `down`, `up` or `stall`, each answered with the bytes that went through. */
  readonly network: Served
  /** What a body opens. */
  readonly location: string
  open(options?: RelayOptions): Datastore
  /** Another host of the same owner. */
  another(): Promise<Datastore>
}

/** An owner, a host and this process as its body: three processes and real sockets. The network can be cut. */
export async function relayed(
  options: { silenceMs?: number; lullMs?: number; attempt?: AttemptAddress; root?: string } = {},
): Promise<Relay> {
  const { silenceMs = 20_000, attempt, root = tempDirectory() } = options
  // Who serves the store tells of its silence before the host tells of the owner's.
  const patience = String(silenceMs * 1.5)
  const sockets = mkdtempSync(join(tmpdir(), 'gfr-'))
  onTestFinished(() => rmSync(sockets, { recursive: true, force: true }))
  const owner = await serve('relay-owner', [
    join(sockets, 'owner'),
    root,
    String(silenceMs),
    ...(attempt ? [JSON.stringify(attempt)] : []),
  ])
  const network = await serve('relay-network', [join(sockets, 'owner'), join(sockets, 'network')])
  const cache = tempDirectory()
  const body = join(sockets, 'body')
  const host = await serve('relay-host', [
    join(sockets, 'network'),
    body,
    cache,
    patience,
    String(options.lullMs ?? ''),
  ])
  const open = (socket: string, how?: RelayOptions) => {
    const store = openRelay(socket, how)
    onTestFinished(() => store.close())
    return store
  }
  return {
    root,
    cache,
    owner,
    host,
    network,
    location: `relay:${body}`,
    open: (how) => open(body, how),
    async another() {
      const socket = join(sockets, `body${Math.random()}`.slice(0, 10))
      await serve('relay-host', [join(sockets, 'network'), socket, tempDirectory(), patience])
      return open(socket)
    },
  }
}

const programs = mkdtempSync(join(tmpdir(), 'gangflow-relay-'))
afterAll(() => rmSync(programs, { recursive: true, force: true }))
const known = new Map<string, Promise<string>>()

function compiled(name: string): Promise<string> {
  const script = known.get(name) ?? fixture(name, programs)
  known.set(name, script)
  return script
}

async function serve(name: string, args: readonly string[]): Promise<Served> {
  const child = startFixture(await compiled(name), args, 'pipe')
  onTestFinished(async () => {
    child.kill('SIGCONT')
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  const next = async () => String((await lines.next()).value)
  if ((await next()) !== 'up') throw new Error(`${name} did not come up`)
  return {
    child,
    async tell(line) {
      child.stdin!.write(`${line}\n`)
      return Number(/\d+/.exec(await next())?.[0])
    },
  }
}
