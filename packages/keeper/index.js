// Where the native helper for this machine is: what GANGFLOW_KEEPER names, else the package of the platform, else
// what was built in this package.
import { accessSync, constants } from 'node:fs'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

export const platform = `${process.platform}-${process.arch}`

const runnable = (file) => {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Absolute path of the helper, or undefined where there is none for this platform. */
export function keeperBinary() {
  const named = process.env.GANGFLOW_KEEPER
  if (named === 'none') return undefined
  if (named) return resolve(named)
  if (process.platform !== 'linux') return undefined
  try {
    const file = createRequire(import.meta.url).resolve(`@gangflow/keeper-${platform}/gangflow-keeper`)
    if (runnable(file)) return file
  } catch {}
  const built = fileURLToPath(new URL(`./dist/${platform}/gangflow-keeper`, import.meta.url))
  return runnable(built) ? built : undefined
}
