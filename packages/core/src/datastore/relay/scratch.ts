import { mkdirSync } from 'node:fs'
import { checkedSegments } from '../directory/paths.js'
import { storeFailure } from '../failures.js'

/** A directory below a host's scratch, made if absent. */
export function makeScratch(root: string, segments: readonly string[]): string {
  const path = [root, ...segments.flatMap(checkedSegments)].join('/')
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw storeFailure(error, 'making a scratch directory', path)
  }
  return path
}
