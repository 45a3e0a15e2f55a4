import { createHash, randomBytes } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Datastore } from '../datastore/contract.js'
import { type Bundle, bundleName } from './bundle-flow.js'
import { type BundleInputs, lookAtInputs } from './bundle-inputs.js'
import { hashOf } from './store-bundle.js'

interface Kept extends BundleInputs {
  readonly key: string
  /** Of the bundle (`BundleRef`): where it lies on this machine. */
  readonly hash: string
  readonly sources: readonly string[]
}

/** Milliseconds by which a file's time may be behind the clock. */
const TICK = 20

/** The last bundle of a flow, for as long as the compiler would give the same (docs/adr/0014). */
export function keptBundleOf(flow: string, execArgv: readonly string[], datastore: Datastore) {
  const name = createHash('sha256')
    .update(JSON.stringify([flow, execArgv]))
    .digest('hex')
    .slice(0, 32)
  const path = () => join(datastore.scratch('compiled'), `${name}.json`)
  return {
    async read(): Promise<Bundle | undefined> {
      try {
        const kept = JSON.parse(await readFile(path(), 'utf8')) as Kept
        if (lookAtInputs(kept)?.key !== kept.key) return undefined
        const file = join(datastore.scratch('code', kept.hash), bundleName)
        const [code, map] = await Promise.all([readFile(file), readFile(`${file}.map`)])
        const { pins, sources, files } = kept
        const bundle = { code, map, pins, sources, files, texts: new Map() }
        return hashOf(bundle) === kept.hash ? bundle : undefined
      } catch {
        return undefined
      }
    },
    /** `begun`: when the compiler began, in milliseconds since 1970. What changed since may not be what it read. */
    async keep(bundle: Bundle, begun: number): Promise<void> {
      const { pins, sources, files } = bundle
      const inputs: BundleInputs = { flow, execArgv, files, pins }
      const look = lookAtInputs(inputs, bundle.texts)
      if (look === undefined || look.changedAt > begun - TICK) return
      const kept: Kept = { ...inputs, key: look.key, hash: hashOf(bundle), sources }
      const temporary = `${path()}.${process.pid}-${randomBytes(4).toString('hex')}.tmp`
      await writeFile(temporary, JSON.stringify(kept))
      await rename(temporary, path())
    },
  }
}
