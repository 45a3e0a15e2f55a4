// Where the native helper for this machine is: what GANGFLOW_KEEPER names, else the package of the platform, else
// what was built in this package. CommonJS, because Node loads that sooner: every process that starts a keeper asks.
const { accessSync, constants } = require('node:fs')
const { join, resolve } = require('node:path')

const platform = `${process.platform}-${process.arch}`

const runnable = (file) => {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Absolute path of the helper, or undefined where there is none for this platform. */
function keeperBinary() {
  const named = process.env.GANGFLOW_KEEPER
  if (named === 'none') return undefined
  if (named) return resolve(named)
  if (process.platform !== 'linux') return undefined
  try {
    const file = require.resolve(`@gangflow/keeper-${platform}/gangflow-keeper`)
    if (runnable(file)) return file
  } catch {}
  const built = join(__dirname, 'dist', platform, 'gangflow-keeper')
  return runnable(built) ? built : undefined
}

module.exports = { platform, keeperBinary }
