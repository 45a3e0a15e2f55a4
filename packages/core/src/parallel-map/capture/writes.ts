import { isMap, isSet } from 'node:util/types'
import { GangflowError } from '../../errors/base.js'
import type { Write } from './free-names.js'
import { refuse } from './refuse.js'

/**
 * Refuses a write into a captured value that can be told from the text: each worker has its own copy, so that what is
 * written would be lost. True where the text does not tell what is written into: a frozen value says it when it happens.
 */
export function checkWrites(name: string, variable: string, { text, path, called }: Write, value: unknown): boolean {
  if (path === undefined) return true
  let target = value
  for (const key of path) {
    if (typeof target !== 'object' || target === null) return true
    target = (target as Record<string, unknown>)[key]
  }
  if (typeof target !== 'object' || target === null) return false
  if (ArrayBuffer.isView(target)) {
    if (target.buffer instanceof SharedArrayBuffer) return false
    refuse(
      name,
      [variable, ...path].join('.'),
      `the function writes into it (\`${text}\`), and what workers write into their copy does not come back`,
      'make it with shared.float64(n) or another of shared.*, or return the values',
    )
  }
  if (called && !Array.isArray(target) && !isMap(target) && !isSet(target)) return true
  throw readOnly(name, [variable, ...path].join('.'), text)
}

export function readOnly(name: string, path: string, text: string): GangflowError {
  return new GangflowError({
    code: 'E_MAP_READONLY',
    what: `the function writes to \`${path}\` (\`${text}\`), of which each worker has its own copy: it would be lost`,
    fix: 'return what is to come out of the function: parallelMap gives all results in order',
    details: { function: name, path, text },
  })
}
