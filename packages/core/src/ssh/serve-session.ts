import { constants } from 'node:os'
import type { Writable } from 'node:stream'
import type { ServerChannel, Session } from 'ssh2'
import { messageOf } from '../errors/base.js'
import { ChannelStream } from './channel.js'
import type { MeshHost, StartedProcess, StartRequest, Terminal } from './contract.js'
import { CONTROL, type Services } from './serve-connection.js'
import { serveSftp } from './sftp/serve.js'

/** Variables that one session may set, and bytes of all of them. */
const MOST_VARIABLES = 1024
const MOST_BYTES = 1 << 20

/** One session channel: a command, a shell, SFTP or the control subsystem. */
export function serveSession(session: Session, from: string, services: Services): void {
  const env: Record<string, string> = {}
  let size = 0
  let terminal: Terminal | undefined
  let process: StartedProcess | undefined
  session.on('env', (accept, reject, { key, val }) => {
    size += key.length + val.length
    if (Object.keys(env).length >= MOST_VARIABLES || size > MOST_BYTES || !/^[A-Za-z_]\w*$/.test(key))
      return void reject?.()
    env[key] = val
    accept?.()
  })
  session.on('pty', (accept, _reject, info) => {
    terminal = { type: (info as { term?: string }).term || 'xterm', columns: info.cols || 80, rows: info.rows || 24 }
    accept?.()
  })
  session.on('window-change', (accept, _reject, info) => {
    if (terminal) terminal = { ...terminal, columns: info.cols, rows: info.rows }
    if (terminal) process?.resize?.(terminal)
    accept?.()
  })
  // Nobody reads it any more: it notices that at its next write, as with any pipe.
  session.on('eow' as 'eof', () => process?.stdout.destroy())
  session.on('signal', (accept, _reject, { name }) => {
    const signal = `SIG${name.replace(/^SIG/, '')}` as NodeJS.Signals
    if (signal in constants.signals) process?.signal(signal)
    accept?.()
  })
  const run = (accept: () => ServerChannel, reject: () => void, command?: string) => {
    const { host } = services
    if (!host) return void reject()
    const request = { env, ...(command === undefined ? {} : { command }), ...(terminal && { terminal }) }
    void perform(accept(), host, request, from, (started) => {
      process = started
    })
  }
  session.on('exec', (accept, reject, { command }) => run(accept, reject, command))
  session.on('shell', (accept, reject) => run(accept, reject))
  session.on('sftp', (accept, reject) => {
    if (!services.host) return void reject()
    serveSftp(accept(), services.host.home)
  })
  session.on('subsystem', (accept, reject, { name }) => {
    if (name !== CONTROL || services.closing) return void reject()
    services.control(new ChannelStream(accept()), from)
  })
}

/** Runs it on the channel: the channel ends with the process and its output, the process with the channel. */
async function perform(
  channel: ServerChannel,
  host: MeshHost,
  request: StartRequest,
  from: string,
  started: (process: StartedProcess) => void,
): Promise<void> {
  const stream = new ChannelStream(channel)
  stream.on('error', () => {})
  const errors = stream.errors()
  let process: StartedProcess
  try {
    process = await host.start(request, from)
  } catch (error) {
    errors.write(`gangflow: ${messageOf(error)}\n`)
    return finish(channel, stream, errors, 127)
  }
  started(process)
  let over = false
  const gone = () => {
    if (!over) process.abandon()
  }
  if (stream.destroyed) return gone()
  stream.once('close', gone)
  process.stdin.on('error', () => {
    stream.unpipe(process.stdin)
    stream.resume()
  })
  stream.pipe(process.stdin)
  process.stdout.pipe(stream, { end: false })
  process.stderr?.pipe(errors, { end: false })
  const { code, signal } = await process.exited
  // As with sshd: who holds its output keeps the channel, and so the caller.
  await Promise.all([ended(process.stdout), process.stderr && ended(process.stderr)])
  over = true
  await finish(channel, stream, errors, signal?.replace(/^SIG/, '') ?? code ?? 255)
}

async function finish(
  channel: ServerChannel,
  stream: ChannelStream,
  errors: Writable,
  how: number | string,
): Promise<void> {
  // What waits for a slow reader would be lost by the close; the stream's own end waits for its part itself.
  await new Promise<void>((resolve) => {
    stream.once('close', resolve)
    errors.end(resolve)
  })
  if (typeof how === 'number') channel.exit(how)
  else channel.exit(how)
  stream.end(() => stream.destroy())
}

function ended(stream: NodeJS.ReadableStream): Promise<void> {
  return new Promise((resolve) => {
    if ((stream as { readableEnded?: boolean }).readableEnded || (stream as { destroyed?: boolean }).destroyed)
      resolve()
    else for (const event of ['end', 'close', 'error']) stream.once(event, () => resolve())
  })
}
