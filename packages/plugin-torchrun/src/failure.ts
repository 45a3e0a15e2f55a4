import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Casualty, GangflowError } from '@gangflow/core'

/** A Python exception as a rank left it in its error file. */
export interface PythonError {
  /** `ValueError: bad`. */
  readonly message: string
  readonly traceback?: string
}

/** One process of a call that ended badly, on this member. */
export interface Failed {
  readonly process: string
  readonly rank?: number
  readonly exitCode: number | null
  readonly signal: string | null
  readonly error?: PythonError
  /** Its process, such as `4711 (python)`, where it has not ended: a signal has stopped it. */
  readonly stopped?: string
  readonly lastLines: readonly string[]
}

export interface Place {
  readonly step: string
  readonly node: number
  readonly host: string
  readonly memberId: string
  readonly python: string
}

/** What a rank wrote before it ended, or undefined. Reads torch's own form of the file too. */
export function readErrorFile(path: string): PythonError | undefined {
  let parsed: unknown
  try {
    parsed = JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return undefined
  }
  const message = (parsed as { message?: unknown } | null)?.message
  if (typeof message === 'string') return { message }
  const { message: text, extraInfo } = (message ?? {}) as { message?: unknown; extraInfo?: { py_callstack?: unknown } }
  if (typeof text !== 'string') return undefined
  const trace = extraInfo?.py_callstack
  return typeof trace === 'string' ? { message: text, traceback: trace } : { message: text }
}

/** The error file of a local rank below torchrun, which names the folders between by itself. */
export function torchrunErrorFile(logDir: string, localRank: number): string | undefined {
  try {
    return readdirSync(logDir, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith(join(String(localRank), 'error.json')))
      .sort()
      .map((path) => join(logDir, path))
      .at(-1)
  } catch {
    return undefined
  }
}

/** The end of an output, as the verdict shows it: at most 30 lines of 2,000 characters. */
export function lastLines(...outputs: readonly string[]): string[] {
  const text = outputs.find((output) => output.trim() !== '') ?? ''
  const lines = text.slice(-65_536).split(/\r?\n/)
  while (lines.at(-1)?.trim() === '') lines.pop()
  return lines.slice(-30).map((line) => line.slice(-2000))
}

const echoes =
  /connection (?:was )?(?:reset|closed|aborted|refused)|broken pipe|closed by (?:the )?(?:remote|peer)|recvValue failed|sendBytes failed|socket (?:closed|error)|remote process exited|NCCL communicator was aborted|DistNetworkError|failed to (?:recv|send),? got \d+ bytes|TCPStore.*(?:shut|lost)|Timed out waiting .*ms for recv/i

/** True when this says only that some other rank has gone. */
export function isEcho({ error, lastLines: lines, signal }: Failed): boolean {
  if (signal) return false
  return echoes.test(error ? error.message : lines.slice(-3).join('\n'))
}

const portTaken = /EADDRINUSE|address already in use/i

/** True when rank 0's store (or torchrun's) could not have its port. */
export function isPortTaken(failed: Failed): boolean {
  if (failed.rank !== undefined && failed.rank !== 0) return false
  return portTaken.test(failed.error?.message ?? failed.lastLines.join('\n'))
}

/** What went wrong, for people: the known causes by name, else the rank's own exception, exit code or signal. */
export function explain(failed: Failed, place: Place, port: string): GangflowError {
  const who = failed.rank === undefined ? failed.process : `rank ${failed.rank}`
  const text = `${failed.error?.message ?? ''}\n${failed.error ? '' : failed.lastLines.join('\n')}`
  const facts = {
    step: place.step,
    node: place.node,
    host: place.host,
    rank: failed.rank,
    details: { exitCode: failed.exitCode, signal: failed.signal, traceback: failed.error?.traceback },
  }
  if (failed.stopped !== undefined)
    return new GangflowError({
      ...facts,
      code: 'E_TORCH_STOPPED',
      what: `${who} is stopped by a signal, and nobody lets it go on: its process ${failed.stopped}`,
      fix: 'find out who sent it SIGSTOP; the other ranks would wait for it',
    })
  if (/No module named '?torch(?:['.\s]|$)/m.test(text)) {
    const dot = /No module named '?torch\.(?!distributed\b)/.test(text)
    if (!dot)
      return new GangflowError({
        ...facts,
        code: 'E_TORCH_MISSING',
        what: `${place.python} has no torch`,
        fix: `${place.python} -m pip install torch, or name an interpreter that has it by \`python\` or GANGFLOW_PYTHON`,
      })
  }
  if (isPortTaken(failed))
    return new GangflowError({
      ...facts,
      code: 'E_TORCH_PORT',
      what: `${who} could not have port ${port} for the ranks' store: it is in use`,
      fix: 'leave `masterPort` out, so that a free port is drawn, or stop what uses it',
    })
  return new GangflowError({
    ...facts,
    code: 'E_TORCH_RANK',
    what: failed.error ? `${who} raised ${failed.error.message}` : `${who} ${ending(failed)}`,
    fix: `see the log of ${failed.process} on node ${place.node}`,
  })
}

/** The account of it for the gang's verdict. */
export function casualtyOf(failed: Failed, place: Place, error: GangflowError): Casualty {
  const plain = failed.error?.message ?? error.what
  return {
    kind: 'process',
    node: place.node,
    memberId: place.memberId,
    host: place.host,
    process: failed.process,
    ...(failed.rank === undefined ? {} : { rank: failed.rank }),
    ...(failed.exitCode === null ? {} : { exitCode: failed.exitCode }),
    ...(failed.signal === null ? {} : { signal: failed.signal }),
    // A bare exit code or signal speaks for itself; an error says more than that.
    ...(failed.error || error.code !== 'E_TORCH_RANK'
      ? {
          error: {
            message: isEcho(failed) ? `lost connection: ${plain}` : plain,
            ...(failed.error?.traceback ? { stack: failed.error.traceback } : {}),
            code: error.code,
            ...(error.fix && error.code !== 'E_TORCH_RANK' ? { fix: error.fix } : {}),
          },
        }
      : {}),
    lastLines: failed.lastLines,
  }
}

function ending({ exitCode, signal }: Failed): string {
  return signal ? `was ended by ${signal}` : `exited with code ${exitCode}`
}
