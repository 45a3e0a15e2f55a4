import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { Module } from 'node:module'
import { join } from 'node:path'
import { Script } from 'node:vm'
import { usedParts } from './used-parts.js'

/** A module as Node's loader keeps it, and how the shared file asks for what is no CommonJS. */
type Loaded = Module & { __import?: (name: string) => Promise<unknown> }

/**
 * Loads a file of core, such as `shared.cjs`, from its compiled form where that is kept in `folder`; else keeps it
 * there when this process ends. Compiling it anew is a tenth of a body's start. Node checks that what is kept fits
 * its version and flags; the name says for which file it is. What is kept holds what was called, so that those who
 * use other parts of a file take another `label`. What a process that formed a gang has kept serves all: it has more.
 */
export function loadCompiled(
  dist: string,
  name: string,
  folder: string | undefined,
  label = name === 'shared' ? 'core' : name,
): Record<string, unknown> {
  const file = join(dist, `${name}.cjs`)
  const loaded = require.cache[file]
  if (loaded) return loaded.exports as Record<string, unknown>
  const { size, mtimeMs } = statSync(file)
  const kept = folder && join(folder, `${label}-${process.version}-${process.arch}-${size}-${Math.floor(mtimeMs)}`)
  const whole = kept && readIfThere(`${kept}.gang.code`)
  const cachedData = whole ?? (kept && readIfThere(`${kept}.code`))
  const script = new Script(Module.wrap(readFileSync(file, 'utf8')), {
    filename: file,
    ...(cachedData && { cachedData }),
  })
  const module: Loaded = new Module(file)
  module.filename = file
  module.loaded = true
  // A script of our own cannot import by itself; this file can. Another file of core is loaded as this one is: for an
  // import Node would read all of it first for the names of its exports, half a second for SSH.
  module.__import = async (name) => {
    const own = /^\.\/([\w-]+)\.cjs$/.exec(name)?.[1]
    return own === undefined ? await import(name) : loadCompiled(dist, own, folder)
  }
  // What the flow requires later is this very module.
  require.cache[file] = module
  const run = script.runInThisContext() as (...args: unknown[]) => void
  run.call(module.exports, module.exports, require, module, file, dist)
  const lacks = !cachedData || script.cachedDataRejected
  if (kept && (!whole || lacks)) {
    process.once('exit', () => {
      const gang = usedParts().has('gang')
      if (gang || lacks) keep(`${kept}${gang || whole ? '.gang' : ''}.code`, script.createCachedData())
    })
  }
  return module.exports as Record<string, unknown>
}

function readIfThere(file: string): Buffer | undefined {
  try {
    return readFileSync(file)
  } catch {
    return undefined
  }
}

function keep(file: string, data: Buffer): void {
  try {
    writeFileSync(`${file}.${process.pid}`, data, { mode: 0o600 })
    renameSync(`${file}.${process.pid}`, file)
  } catch {
    // The next one compiles it again.
  }
}
