import { randomBytes } from 'node:crypto'
import { userInfo } from 'node:os'
import type { Duplex } from 'node:stream'
import { GangflowError } from '../../errors/base.js'
import { signalWithin } from '../../errors/signal-within.js'
import type { Keeper, KeptProcess, ProcessExit } from '../../process/contract.js'
import type { MeshHost, StartedProcess, StartRequest } from '../../ssh/contract.js'
import { Attachments } from './attachments.js'

export interface KeptHostOptions {
  readonly keeper: Keeper
  /** The native helper; undefined where there is none: then nothing is started. */
  readonly helper: string | undefined
  /** Path of the socket to make. */
  readonly socket: string
  env(): Readonly<Record<string, string>>
  /** Folder in which commands start, and that relative paths of SFTP mean. */
  cwd(): string
  /** Milliseconds between HUP and KILL when the channel of a process has ended. */
  readonly graceMs: number
  /** Before the first one is started. */
  prepare?(): Promise<void>
  /** One has ended, however. */
  ended?(command: string, pid: number, exit: ProcessExit): void
}

/** Milliseconds until what was started has connected its streams. */
const ATTACH_MS = 20_000

/** And after the end of what never did. */
const EARLY_MS = 2_000

/**
 * Starts what comes over the mesh below the member's keeper. The streams are sockets of their own rather than the keeper's
 * pipes: nothing is left out, and who reads slowly slows the process down.
 */
export async function keptHost(options: KeptHostOptions): Promise<MeshHost & { close(): Promise<void> }> {
  const attachments = await Attachments.open(options.socket)
  let count = 0
  return {
    get home() {
      return options.cwd()
    },
    start: (request) => start(options, attachments, request, `ssh${++count}`),
    close: () => attachments.close(),
  }
}

async function start(
  options: KeptHostOptions,
  attachments: Attachments,
  request: StartRequest,
  name: string,
): Promise<StartedProcess> {
  const { keeper, helper, cwd, env, graceMs } = options
  if (helper === undefined || !keeper.native) {
    throw new GangflowError({
      code: 'E_MESH_NO_HELPER',
      what: 'commands over SSH need the native helper, and this platform has none',
      fix: 'install @gangflow/keeper for it, or a C compiler and build again',
    })
  }
  await options.prepare?.()
  const { terminal } = request
  const token = randomBytes(12).toString('hex')
  const failed = new AbortController()
  const limit = signalWithin(ATTACH_MS, failed.signal)
  const coming = attachments.streams(token, terminal ? ['p', 'c'] : ['0', '1', '2'], limit)
  coming.catch(() => {})
  let kept: KeptProcess
  try {
    kept = await keeper.spawn({
      name,
      argv: [
        helper,
        'attach',
        ...(terminal ? [`--terminal=${terminal.columns}x${terminal.rows}`] : []),
        attachments.socket,
        token,
        ...commandOf(request),
      ],
      env: { ...env(), ...request.env, ...(terminal ? { TERM: terminal.type } : {}) },
      cwd: cwd(),
    })
  } catch (error) {
    failed.abort(error)
    throw error
  }
  void kept.exited.then((exit) => {
    options.ended?.(request.command ?? 'a shell', kept.pid, exit)
    // What it said is on the way here, by another path than its end.
    setTimeout(() => failed.abort(neverAttached()), EARLY_MS).unref()
  })
  const streams = await coming.catch((error: unknown) => {
    kept.stop({ graceMs: 0 }).catch(() => {})
    throw error
  })
  for (const stream of streams) stream.on('error', () => {})
  return startedProcess(kept, streams, terminal !== undefined, graceMs)
}

const neverAttached = () =>
  new GangflowError({
    code: 'E_MESH_CHANNEL_LOST',
    what: 'the command ended before it began',
    fix: 'see the log of the agent',
  })

/** A command as sshd takes it, but by /bin/sh, whatever the person's own shell is; a shell is the person's own. */
function commandOf({ command }: StartRequest): readonly string[] {
  if (command !== undefined) return ['/bin/sh', '-c', command]
  return [process.env['SHELL'] || userInfo().shell || '/bin/sh', '-l']
}

function startedProcess(
  kept: KeptProcess,
  [first, second, third]: readonly Duplex[],
  onTerminal: boolean,
  graceMs: number,
): StartedProcess {
  // Nothing comes on standard input's socket but its end.
  if (!onTerminal) first!.resume()
  return {
    stdin: first!,
    stdout: onTerminal ? first! : second!,
    ...(onTerminal ? {} : { stderr: third! }),
    exited: kept.exited.then(({ code, signal }) => ({ code, signal })),
    signal: (name) => kept.signal(name, 'tree'),
    ...(onTerminal && {
      resize({ columns, rows }) {
        second!.write(Buffer.from([columns >> 8, columns, rows >> 8, rows]))
      },
    }),
    abandon() {
      for (const stream of [first, second, third]) stream?.destroy()
      kept.stop({ graceMs, signal: 'SIGHUP' }).catch(() => {})
    },
  }
}
