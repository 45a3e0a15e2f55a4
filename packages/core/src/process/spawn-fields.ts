import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import type { SpawnRequest } from './contract.js'
import { stage, startError } from './errors.js'
import type { Field } from './wire.js'

const MOST_MS = 0x7fffffff

/** A length of time as frames and timers take it: whole, from 0 to some 24 days. */
export const wholeMs = (ms: number): number => Math.min(MOST_MS, Math.max(0, Math.ceil(ms)))

/** Refuses what no process can be given. */
export function checkCommand(request: SpawnRequest): void {
  const texts = [request.cwd, ...request.argv, ...Object.entries(request.env).flat()]
  if (request.argv.length === 0 || texts.some((text) => text.includes('\0')))
    throw startError(request, stage.setup, 'EINVAL')
}

export function makeSpool(request: SpawnRequest): void {
  if (request.spool === undefined) return
  try {
    mkdirSync(request.spool, { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw startError(request, stage.spool, (cause as NodeJS.ErrnoException).code ?? 'EIO', cause)
  }
}

/** The fields of the `spawn` command (docs/reference/keeper.md). */
export function spawnFields(request: SpawnRequest, file: string): readonly Field[] {
  const linger = typeof request.onOwnerGone === 'object' ? request.onOwnerGone.lingerMs : undefined
  const flags =
    (request.stdin !== undefined ? 1 : 0) | (linger !== undefined ? 2 : 0) | (request.strays === 'end' ? 4 : 0)
  const env = Object.entries(request.env)
  return [
    { u8: flags },
    { u32: wholeMs(linger ?? 0) },
    { text: file },
    { text: resolve(request.cwd) },
    { u32: request.argv.length },
    ...request.argv.map((text) => ({ text })),
    { u32: env.length },
    ...env.map(([name, value]) => ({ text: `${name}=${value}` })),
  ]
}
