import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { isAbsolute, join, parse, resolve } from 'node:path'
import { GangflowError, messageOf } from '../../errors/base.js'
import type { Undo } from '../../plugin/contract.js'
import type { Keeper } from '../../process/contract.js'

/** Milliseconds that all undos of a member have together. */
const LIMIT_MS = 10_000

/** What a member must undo, as data beside its sockets: whoever ends the member reads it (agent, or `reap`). */
export const undoFile = (directory: string): string => join(directory, 'undo.jsonl')

/** Refuses what would be wrong to perform later, when nobody is there to read the error. */
export function checkUndo(undo: Undo): Undo {
  const bad = (what: string) =>
    new GangflowError({
      code: 'E_GANG_UNDO',
      what,
      fix: "declare { run: { argv } }, { remove: '/absolute/path' } or { kill: { marker: 'NAME=value' } }",
    })
  if ('remove' in undo) {
    const path = resolve(undo.remove)
    if (!isAbsolute(undo.remove) || path === parse(path).root || path === homedir())
      throw bad(`atEnd will not remove '${undo.remove}'`)
  } else if ('kill' in undo) {
    if (!/^[A-Za-z_][A-Za-z0-9_]*=.{8,}$/.test(undo.kill?.marker ?? ''))
      throw bad('a marker must be an environment entry NAME=value with a value of at least 8 characters')
  } else if (!Array.isArray(undo.run?.argv) || undo.run.argv.length === 0) {
    throw bad('atEnd was given nothing that it can perform')
  }
  return undo
}

/** As data it must stand for itself: whoever performs it may know neither the folder nor the environment. */
export function standing(
  undo: Undo,
  { env, cwd }: { readonly env: Readonly<Record<string, string>>; readonly cwd: string },
): Undo {
  return 'run' in undo ? { run: { cwd, ...undo.run, env: { ...env, ...undo.run.env } } } : undo
}

/** Kept before the thing is made; on disk, so that it outlives the agent. */
export function declareUndo(directory: string, undo: Undo): void {
  appendFileSync(undoFile(directory), `${JSON.stringify(undo)}\n`, { flush: true, mode: 0o600 } as never)
}

export function declaredUndos(directory: string): Undo[] {
  if (!existsSync(undoFile(directory))) return []
  return readFileSync(undoFile(directory), 'utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        return line === '' ? [] : [checkUndo(JSON.parse(line) as Undo)]
      } catch {
        return [] // Torn by the writer's death: the thing was not made yet.
      }
    })
}

/**
 * Performs what was declared, last first, and forgets it; idempotent. Never rejects: gives what did not work, in
 * words. `env` and `cwd` are for commands that name none.
 */
export async function performUndos(
  directory: string,
  keeper: Keeper,
  base: { readonly env: Readonly<Record<string, string>>; readonly cwd: string; readonly spool?: string },
): Promise<string[]> {
  const complaints: string[] = []
  const deadline = performance.now() + LIMIT_MS
  for (const undo of declaredUndos(directory).reverse()) {
    try {
      if ('remove' in undo) rmSync(undo.remove, { recursive: true, force: true })
      else if ('kill' in undo) killMarked(undo.kill.marker)
      else await runUndo(undo.run, Math.max(1000, deadline - performance.now()))
    } catch (error) {
      complaints.push(`atEnd ${JSON.stringify(undo)}: ${messageOf(error)}`)
    }
  }
  if (existsSync(undoFile(directory))) rmSync(undoFile(directory), { force: true })
  return complaints

  async function runUndo(command: Extract<Undo, { run: unknown }>['run'], limitMs: number): Promise<void> {
    const child = await keeper.spawn({
      name: `undo-${command.name ?? 'command'}`.replace(/[^A-Za-z0-9._=-]/g, '_'),
      argv: command.argv,
      env: { ...base.env, ...command.env },
      cwd: command.cwd ?? base.cwd,
      ...(base.spool === undefined ? {} : { spool: base.spool }),
    })
    let late = false
    const timer = setTimeout(() => {
      late = true
      void child.stop({ graceMs: 500 })
    }, limitMs)
    const exit = await child.exited
    clearTimeout(timer)
    if (late) throw new Error(`did not end within ${Math.round(limitMs)} ms`)
    if (exit.code !== 0) throw new Error(`ended with ${exit.signal ?? `code ${exit.code}`}`)
  }
}

/** KILL to every process of this user whose environment has the entry. */
function killMarked(marker: string): void {
  const wanted = Buffer.from(`\0${marker}\0`)
  for (const name of existsSync('/proc') ? readdirSync('/proc') : []) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue
    try {
      const environ = readFileSync(`/proc/${name}/environ`)
      if (Buffer.concat([Buffer.from('\0'), environ]).includes(wanted)) process.kill(Number(name), 'SIGKILL')
    } catch {
      // Gone, or another user's.
    }
  }
}
