// The program that looks at a host from inside: `node probe.cjs NONCE WORK`. Each line that it says begins with the nonce (a
// login shell prints what it likes) and is JSON; so is each that it is told. It ends with its input.
import { createInterface } from 'node:readline'
import { type MachineFacts, machineFacts } from './machine-facts.js'
import { type Ear, listen, type Peer, type Reached, reach } from './reach.js'
import { type CommandEnd, endCommands, runCommand } from './run-command.js'

export type ProbeOrder =
  | { readonly id: number; readonly do: 'facts' }
  /** The wall clock, in milliseconds. */
  | { readonly id: number; readonly do: 'clock' }
  | { readonly id: number; readonly do: 'reach'; readonly peers: readonly Peer[]; readonly timeoutMs: number }
  | {
      readonly id: number
      readonly do: 'run'
      readonly argv: readonly string[]
      readonly timeoutMs: number
      readonly aloud?: boolean
    }
  /** Ends what another order runs. */
  | { readonly id: number; readonly do: 'end'; readonly of: number }

export interface ProbeAnswers {
  readonly facts: {
    readonly facts: MachineFacts
    readonly ear: Omit<Ear, 'close'>
    /** Where the SSH connection comes from, as the host sees it. */
    readonly caller?: string
  }
  readonly clock: number
  readonly reach: readonly Reached[]
  /** With `aloud` its lines come before, as `{ id, line }`. */
  readonly run: CommandEnd
  readonly end: null
}

/** Peers that are called at once. */
const AT_ONCE = 16
/** Milliseconds without an order after which it ends by itself: its launcher may have vanished without a word. */
const IDLE = 300_000

export async function probe(nonce: string, work: string): Promise<void> {
  const ear = await listen()
  const leave = () => {
    endCommands()
    process.exit(0)
  }
  for (const signal of ['SIGHUP', 'SIGTERM', 'SIGINT'] as const) process.on(signal, leave)
  // Whom it would tell is gone.
  process.stdout.on('error', leave)
  let idle = setTimeout(leave, IDLE)
  const say = (message: object) => process.stdout.write(`${nonce} ${JSON.stringify(message)}\n`)
  const running = new Map<number, AbortController>()
  const run = async ({ id, argv, timeoutMs, aloud }: Extract<ProbeOrder, { do: 'run' }>) => {
    const end = new AbortController()
    running.set(id, end)
    const hear = aloud ? { hear: (line: string) => void say({ id, line }) } : {}
    const ended = await runCommand(argv, timeoutMs, { signal: end.signal, ...hear })
    running.delete(id)
    return ended
  }
  const obey = async (order: ProbeOrder): Promise<ProbeAnswers[ProbeOrder['do']]> => {
    switch (order.do) {
      case 'facts':
        return { facts: await machineFacts(work), ear: { token: ear.token, ports: ear.ports }, ...callerOf() }
      case 'clock':
        return Date.now()
      case 'reach':
        return await reachAll(order.peers, order.timeoutMs)
      case 'run':
        return await run(order)
      case 'end':
        running.get(order.of)?.abort()
        return null
    }
  }
  say({ id: 0 })
  for await (const line of createInterface(process.stdin)) {
    clearTimeout(idle)
    idle = setTimeout(leave, IDLE)
    const order = JSON.parse(line) as ProbeOrder
    obey(order).then(
      (value) => say({ id: order.id, value }),
      (error: unknown) => say({ id: order.id, error: String(error) }),
    )
  }
  leave()
}

function callerOf(): { caller?: string } {
  const [caller] = (process.env['SSH_CONNECTION'] ?? '').split(' ')
  return caller ? { caller } : {}
}

async function reachAll(peers: readonly Peer[], timeoutMs: number): Promise<Reached[]> {
  const found: Reached[] = []
  const waiting = [...peers]
  const worker = async () => {
    for (let peer = waiting.shift(); peer !== undefined; peer = waiting.shift())
      found.push(await reach(peer, timeoutMs))
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return found
}
