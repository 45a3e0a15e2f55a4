import type { Terminal } from '../../ssh/contract.js'

/** Frames between the shim (or `gangflow ssh`) and who runs its command: docs/reference/protocol.md, "The shim". */
export const frame = {
  start: 1,
  stdin: 2,
  stdinEnd: 3,
  signal: 4,
  resize: 5,
  stdout: 16,
  stderr: 17,
  exit: 18,
  exitSignal: 19,
  error: 20,
} as const

const flag = { subsystem: 1, shell: 2, terminal: 4 } as const
/** Bytes that a frame may have. */
const MOST = 1 << 20

/** What is asked for. */
export interface ShellRequest {
  readonly host: string
  readonly command?: string
  readonly subsystem?: string
  readonly terminal?: Terminal
}

export function encodeFrame(type: number, content: Uint8Array | string = ''): Buffer {
  const bytes = Buffer.from(content as Uint8Array)
  const head = Buffer.alloc(5)
  head.writeUInt32BE(bytes.length + 1)
  head[4] = type
  return Buffer.concat([head, bytes])
}

export interface ShellFrame {
  readonly type: number
  readonly content: Buffer
}

/** Cuts what comes into frames; throws on one that is too long or empty. */
export class FrameCutter {
  #held = Buffer.alloc(0)

  push(chunk: Uint8Array): ShellFrame[] {
    const found: ShellFrame[] = []
    this.#held = this.#held.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#held, chunk])
    while (this.#held.length >= 5) {
      const length = this.#held.readUInt32BE()
      if (length < 1 || length > MOST) throw new Error('a frame of no sensible length')
      if (this.#held.length < 4 + length) break
      const whole = this.#held.subarray(4, 4 + length)
      this.#held = this.#held.subarray(4 + length)
      found.push({ type: whole[0]!, content: whole.subarray(1) })
    }
    return found
  }
}

export function encodeRequest({ host, command, subsystem, terminal }: ShellRequest): Buffer {
  const flags =
    (subsystem !== undefined ? flag.subsystem : 0) |
    (command === undefined && subsystem === undefined ? flag.shell : 0) |
    (terminal ? flag.terminal : 0)
  return Buffer.concat([
    Buffer.from([flags]),
    ...(terminal ? [encodeSize(terminal), Buffer.from(`${terminal.type}\0`)] : []),
    Buffer.from(`${host}\0${subsystem ?? command ?? ''}`),
  ])
}

/** Throws on what is no request. */
export function decodeRequest(content: Buffer): ShellRequest {
  const flags = content[0] ?? 0
  let rest = content.subarray(1)
  const word = () => {
    const at = rest.indexOf(0)
    if (at < 0) throw new Error('a request that is cut off')
    const text = rest.toString('utf8', 0, at)
    rest = rest.subarray(at + 1)
    return text
  }
  let terminal: Terminal | undefined
  if (flags & flag.terminal) {
    const size = decodeSize(rest)
    rest = rest.subarray(4)
    terminal = { ...size, type: word() }
  }
  const host = word()
  const text = rest.toString('utf8')
  return {
    host,
    ...(flags & flag.subsystem ? { subsystem: text } : flags & flag.shell ? {} : { command: text }),
    ...(terminal && { terminal }),
  }
}

export const encodeSize = ({ columns, rows }: Pick<Terminal, 'columns' | 'rows'>): Buffer =>
  Buffer.from([columns >> 8, columns, rows >> 8, rows])

export function decodeSize(content: Buffer): Pick<Terminal, 'columns' | 'rows'> {
  if (content.length < 4) throw new Error('a size that is cut off')
  return { columns: content.readUInt16BE(0), rows: content.readUInt16BE(2) }
}
