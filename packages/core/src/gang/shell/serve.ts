import { constants } from 'node:os'
import type { Duplex, Readable } from 'node:stream'
import { GangflowError, messageOf } from '../../errors/base.js'
import { signalWithin } from '../../errors/signal-within.js'
import type { Mesh, RemoteExit, RemoteProcess, Target } from '../../ssh/contract.js'
import {
  decodeRequest,
  decodeSize,
  encodeFrame,
  FrameCutter,
  frame,
  type ShellFrame,
  type ShellRequest,
} from './frames.js'

/** Milliseconds that a connection has to say what it wants, and the mesh to open the channel. */
const START_MS = 30_000

export interface ShellServer {
  readonly mesh: () => Mesh | Promise<Mesh>
  /** Who is meant by a host's name; rejects where nobody is. */
  find(host: string): Promise<Target>
  /** A channel begins, and how it ended; `error` when the connection broke or nothing was started. */
  begun?(request: ShellRequest, target: Target): (end: { exit?: RemoteExit; error?: unknown }) => void
}

/** One command of the shim: asked for on this stream, run over the mesh, carried both ways until it has ended. */
export async function serveShell(stream: Duplex, server: ShellServer): Promise<void> {
  const gone = new AbortController()
  stream.on('error', () => stream.destroy())
  stream.once('close', () => gone.abort(new Error('who asked has gone')))
  const cutter = new FrameCutter()
  const held: ShellFrame[] = []
  let heard = (one: ShellFrame): void => void held.push(one)
  let wake = () => {}
  stream.on('data', (chunk: Buffer) => {
    try {
      for (const one of cutter.push(chunk)) heard(one)
    } catch {
      stream.destroy()
    }
    wake()
  })
  let told: ReturnType<NonNullable<ShellServer['begun']>> | undefined
  try {
    const signal = signalWithin(START_MS, gone.signal)
    const request = await firstOf(held, signal, (resume) => {
      wake = resume
    })
    const target = await server.find(request.host)
    told = server.begun?.(request, target)
    const { command, subsystem, terminal } = request
    const remote = await (await server.mesh()).run(
      target,
      {
        env: {},
        ...(command !== undefined && { command }),
        ...(subsystem !== undefined && { subsystem }),
        ...(terminal && { terminal }),
      },
      { signal },
    )
    if (gone.signal.aborted) return void remote.close()
    gone.signal.addEventListener('abort', () => remote.close())
    heard = (one) => hear(one, remote, stream)
    for (const one of held.splice(0)) heard(one)
    const exit = await carry(remote, stream)
    told?.({ exit })
    const answer =
      exit.signal === null
        ? encodeFrame(frame.exit, Buffer.from([exit.code ?? 255]))
        : encodeFrame(frame.exitSignal, exit.signal.replace(/^SIG/, ''))
    stream.end(answer)
  } catch (error) {
    told?.({ error })
    // The shim prints what comes before the zero.
    stream.end(
      encodeFrame(frame.error, GangflowError.is(error) ? `${messageOf(error)}\0${error.code}` : messageOf(error)),
    )
  }
}

async function firstOf(
  held: ShellFrame[],
  signal: AbortSignal,
  waiting: (resume: () => void) => void,
): Promise<ShellRequest> {
  if (held.length === 0) {
    await new Promise<void>((resolve, reject) => {
      waiting(resolve)
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
  }
  const first = held.shift()
  if (first?.type !== frame.start) throw new Error('the first frame must say what to run')
  return decodeRequest(first.content)
}

function hear({ type, content }: ShellFrame, remote: RemoteProcess, stream: Duplex): void {
  if (type === frame.stdin) {
    // Who does not read its input slows down who gives it.
    if (!remote.stdin.write(Buffer.from(content))) {
      stream.pause()
      remote.stdin.once('drain', () => stream.resume())
    }
  } else if (type === frame.stdinEnd) remote.stdin.end()
  else if (type === frame.signal) {
    const name = `SIG${content.toString()}` as NodeJS.Signals
    if (name in constants.signals) remote.signal(name)
  } else if (type === frame.resize) remote.resize({ type: '', ...decodeSize(content) })
}

async function carry(remote: RemoteProcess, stream: Duplex): Promise<RemoteExit> {
  const ended = [forward(remote.stdout, frame.stdout, stream), forward(remote.stderr, frame.stderr, stream)]
  const exit = await remote.exited
  await Promise.all(ended)
  return exit
}

/** As frames, as fast as they are taken; settles at the end. */
function forward(from: Readable, type: number, to: Duplex): Promise<void> {
  return new Promise((resolve) => {
    from.on('data', (chunk: Buffer) => {
      if (to.write(encodeFrame(type, chunk))) return
      from.pause()
      to.once('drain', () => from.resume())
    })
    for (const event of ['end', 'close', 'error']) from.once(event, () => resolve())
  })
}
