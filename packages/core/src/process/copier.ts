import { execFile, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { errnoName } from './wire.js'

export interface CopierOptions {
  /** The native helper's path, of which `canCopy` is true. */
  readonly binary: string
  /** `seal`: a file into a connection. `open`: what another one has sealed, from a connection into a file. */
  readonly act: 'seal' | 'open'
  /** Bytes of the file. */
  readonly size: number
  /** 16 bytes, of this copy alone: two contents under one key would give it away. */
  readonly key: Uint8Array
  /** Descriptor of the file, open for reading or for writing from its beginning. */
  readonly file: number
  /** Of it, and of `onward`, this process keeps nothing: it must not have read what the helper is to read. */
  readonly socket: Socket
  /** With `open`: the connection on which the sealed pieces are passed on. */
  readonly onward?: Socket | undefined
  readonly signal: AbortSignal
  /** Told some five times a second how many bytes are through. */
  readonly onProgress?: ((bytes: number) => void) | undefined
}

/** One end of a copy between hosts, in a process of its own: no byte of it passes through this one. */
export interface Copier {
  /** Rejects with an Error whose `where` says what failed: read, write, send, receive or content. */
  readonly done: Promise<void>
  /** Why those behind were lost, if they were. */
  readonly onwardLost: string | undefined
}

const words: Readonly<Record<string, string>> = {
  read: 'the file could not be read',
  write: 'the file could not be written',
  send: 'the connection broke',
  receive: 'the connection broke',
  content: 'what arrived is not what was sent (its AES-GCM tag differs): a byte changed on the way',
}

const able = new Map<string, Promise<boolean>>()

/** Whether a helper can copy on this machine: its processor has the instructions, and they are right. Asked once. */
export function canCopy(binary: string): Promise<boolean> {
  const known = able.get(binary)
  if (known) return known
  const asked = new Promise<boolean>((resolve) => {
    execFile(binary, ['copy', 'check'], { timeout: 10_000 }, (error) => resolve(error === null))
  })
  able.set(binary, asked)
  return asked
}

/** Starts one end of a copy. It ends with this process, or when the signal says so. */
export function startCopier(options: CopierOptions): Copier {
  const { binary, act, size, key, file, socket, onward, signal } = options
  const from = act === 'seal' ? file : socket
  const to = act === 'seal' ? socket : file
  const child = spawn(binary, ['copy', act, String(size), ...(onward ? ['onward'] : [])], {
    stdio: ['pipe', 'pipe', 'inherit', from, to, ...(onward ? [onward] : [])],
    env: {},
    cwd: '/',
  })
  // The helper has its own; closed in this process they end with it.
  socket.destroy()
  onward?.destroy()
  const kill = () => child.kill('SIGKILL')
  signal.addEventListener('abort', kill, { once: true })
  if (signal.aborted) kill()
  child.stdin!.on('error', () => {})
  child.stdin!.end(key)
  let last: { where: string; error: number } | undefined
  let onwardLost: string | undefined
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const [word = '', number] = line.split(' ')
    if (word === 'at') options.onProgress?.(Number(number))
    else if (word === 'onward') onwardLost = `the connection broke (${errnoName(Number(number))})`
    else last = { where: word, error: Number(number) }
  })
  const done = new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, by) => {
      signal.removeEventListener('abort', kill)
      if (code === 0 && last?.where === 'done') return resolve()
      if (signal.aborted) return reject(signal.reason)
      const what = words[last?.where ?? '']
      if (last && what) {
        const reason = last.error === 0 ? '' : ` (${errnoName(last.error)})`
        const short = last.where === 'read' && last.error === 0 ? 'the file became shorter while it was sent' : what
        return reject(Object.assign(new Error(`${short}${reason}`), { where: last.where }))
      }
      reject(new Error(`the copying helper ended with ${by ?? `exit code ${code}`}`))
    })
  })
  done.catch(() => {})
  return {
    done,
    get onwardLost() {
      return onwardLost
    },
  }
}
