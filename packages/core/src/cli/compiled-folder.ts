import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'

/** Days after which a compiled form is made anew: those of versions that are gone go with it. */
const KEPT_DAYS = 30
/** Of more than these the oldest go: each build of core leaves its own. */
const KEPT_FILES = 16

/**
 * Where the command keeps its compiled form: `$XDG_CACHE_HOME/gangflow` or `~/.cache/gangflow`, a folder of this user
 * alone. Undefined where there is none: then each start compiles it.
 */
export function compiledFolder(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const home = env['XDG_CACHE_HOME'] || (env['HOME'] && join(env['HOME'], '.cache'))
  if (!home || !isAbsolute(home)) return undefined
  const folder = join(home, 'gangflow')
  try {
    if (mkdirSync(folder, { recursive: true, mode: 0o700 }) === undefined) sweep(folder)
    const { uid, mode } = statSync(folder)
    // What lies there is run: nobody else may have put it there.
    return uid === process.getuid?.() && (mode & 0o022) === 0 ? folder : undefined
  } catch {
    return undefined
  }
}

function sweep(folder: string): void {
  const kept = readdirSync(folder)
    .filter((name) => name.includes('.code'))
    .map((name) => ({ path: join(folder, name), mtimeMs: statSync(join(folder, name)).mtimeMs }))
    .sort((a, b) => b.mtimeMs - a.mtimeMs)
  for (const [index, { path, mtimeMs }] of kept.entries()) {
    if (index >= KEPT_FILES || Date.now() - mtimeMs > KEPT_DAYS * 24 * 3_600_000) rmSync(path, { force: true })
  }
}
