import { spawn } from 'node:child_process'
import { type BackendName, backends } from './names.js'
import { findPackages, versionOf } from './packages.js'
import { keyOf, knownToLoad, rememberThatLoads } from './remembered.js'

/** Whether a backend can be had here. */
export interface Finding {
  readonly name: BackendName
  readonly loads: boolean
  /** Its version, or why it does not load. */
  readonly about: string
  /** It is installed and yet does not load. */
  readonly broken: boolean
  /** Of tfjs-core. */
  readonly version: string
}

/** Loads a backend by its files, computes with it, and ends with 0; else its last line says why not. */
export const probeScript = `
const util = require('node:util')
util.isNullOrUndefined ??= (value) => value === null || value === undefined
const [tfjs, backend, registered] = process.argv.slice(1)
const run = async () => {
  const tf = require(tfjs)
  require(backend)
  await tf.setBackend(registered)
  if (tf.getBackend() !== registered) throw new Error('TensorFlow.js fell back to ' + (tf.getBackend() || 'no backend'))
  const [six] = tf.matMul(tf.tensor2d([[2]]), tf.tensor2d([[3]])).dataSync()
  if (six !== 6) throw new Error('2 * 3 is ' + six + ' on it')
}
run().then(() => process.exit(0), (error) => {
  console.error('\\n' + String((error && error.message) || error).split('\\n')[0])
  process.exit(1)
})
`

/** Milliseconds within which a backend must have loaded. */
const limit = 120_000

/**
 * Looks whether a backend loads and computes, in a process of its own: what crashes there crashes no step. What loaded
 * once from the same files under the same Node is not tried again. Errors: `E_TF_MISSING`, `E_TF_COPIES`.
 */
export async function probe(
  folder: string,
  name: BackendName,
  signal?: AbortSignal,
  { tfjs, backend, version } = findPackages(folder, name),
): Promise<Finding> {
  if (backend === undefined)
    return { name, loads: false, about: `${backends[name].package} is not installed`, broken: false, version }
  const own = `${name} ${versionOf(backend)}`
  const loads: Finding = { name, loads: true, about: own, broken: false, version }
  if (name === 'cpu') return loads
  const key = keyOf(name, backend)
  if (knownToLoad(key)) return loads
  const why = await attempt(folder, [tfjs, backend, backends[name].registered], signal)
  if (why !== undefined) return { name, loads: false, about: `${own} does not load: ${why}`, broken: true, version }
  rememberThatLoads(key)
  return loads
}

/** Runs the script on a backend; says why it failed, or undefined. */
function attempt(folder: string, args: readonly string[], signal?: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve, reject) => {
    const options = { cwd: folder, timeout: limit, killSignal: 'SIGKILL' as const, ...(signal ? { signal } : {}) }
    const child = spawn(process.execPath, ['-e', probeScript, ...args], {
      ...options,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4096)
    })
    child.once('error', (error) => (signal?.aborted ? reject(signal.reason) : resolve(error.message)))
    child.once('close', (code, ended) => {
      const last = said.trim().split('\n').at(-1) ?? ''
      if (ended) resolve(`it was ended by ${ended}${last ? `: ${last}` : ''}`)
      else resolve(code === 0 ? undefined : last || `exit code ${code}`)
    })
  })
}
