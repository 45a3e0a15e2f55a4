import { connect } from 'node:net'
import { constants } from 'node:os'
import { GangflowError } from '../../errors/base.js'
import type { Terminal } from '../../ssh/contract.js'
import { encodeFrame, encodeRequest, encodeSize, FrameCutter, frame, type ShellRequest } from './frames.js'

/** Where the person sits. */
export interface Seat {
  readonly stdin: NodeJS.ReadStream
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
}

/** Signals that are handed on where no terminal carries them as keys. */
const CARRIED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const

/** Runs one command by the socket of a gang's owner, as ssh would; settles with its exit code, 128 + N for a signal. */
export function lookInto(
  socketPath: string,
  host: string,
  command: string | undefined,
  tty: boolean,
  seat: Seat,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath)
    const { stdin, stdout, stderr } = seat
    const terminal = tty ? terminalOf(stdout) : undefined
    const request: ShellRequest = { host, ...(command !== undefined && { command }), ...(terminal && { terminal }) }
    const send = (type: number, content: Uint8Array | string = '') => {
      if (socket.write(encodeFrame(type, content))) return
      stdin.pause()
      socket.once('drain', () => stdin.resume())
    }
    const resized = () => {
      const size = terminalOf(stdout)
      if (size) send(frame.resize, encodeSize(size))
    }
    const signals = CARRIED.map((name) => [name, () => send(frame.signal, name.slice(3))] as const)
    let over = false
    const end = (act: () => void) => {
      if (over) return
      over = true
      for (const [name, handler] of signals) process.off(name, handler)
      stdout.off('resize', resized)
      if (terminal && stdin.isTTY) stdin.setRawMode(false)
      stdin.pause()
      socket.destroy()
      act()
    }
    const broken = (cause?: unknown) => end(() => reject(lost(cause)))
    const cutter = new FrameCutter()
    socket.on('error', broken)
    socket.on('close', () => broken())
    socket.on('connect', () => {
      send(frame.start, encodeRequest(request))
      if (terminal && stdin.isTTY) stdin.setRawMode(true)
      if (terminal) stdout.on('resize', resized)
      for (const [name, handler] of signals) process.on(name, handler)
      stdin.on('data', (chunk: Buffer) => send(frame.stdin, chunk))
      stdin.once('end', () => send(frame.stdinEnd))
    })
    socket.on('data', (chunk: Buffer) => {
      for (const { type, content } of cutter.push(chunk)) {
        if (type === frame.stdout || type === frame.stderr) {
          const to = type === frame.stdout ? stdout : stderr
          if (!to.write(content)) {
            socket.pause()
            to.once('drain', () => socket.resume())
          }
        } else if (type === frame.exit) end(() => resolve(content[0] ?? 255))
        else if (type === frame.exitSignal) end(() => resolve(128 + numberOf(content.toString())))
        else if (type === frame.error) end(() => reject(refused(content.toString())))
      }
    })
  })
}

function terminalOf({ columns, rows }: NodeJS.WriteStream): Terminal {
  return { type: process.env['TERM'] || 'xterm', columns: columns || 80, rows: rows || 24 }
}

const numberOf = (name: string): number => constants.signals[`SIG${name}` as NodeJS.Signals] ?? 0

function refused(told: string): GangflowError {
  const [why = '', code] = told.split('\0')
  // That nobody has this name is the person's to mend; all else is the gang's.
  const known = code === 'E_GANG_HOST' ? code : 'E_GANG_SHELL'
  return new GangflowError({ code: known, what: why.split('\n')[0]!, ...fixOf(why) })
}

const fixOf = (why: string): { fix?: string } => {
  const [, fix] = /\n\s+fix: (.*)/s.exec(why) ?? []
  return fix === undefined ? {} : { fix }
}

const lost = (cause: unknown): GangflowError =>
  new GangflowError(
    { code: 'E_GANG_SHELL', what: 'the launcher of this gang has closed the connection', fix: 'the gang has ended' },
    { cause },
  )
