import { GangflowError } from '@gangflow/core'
import type { DoctorCheck, DoctorEnd, DoctorPlace } from '@gangflow/core/plugin'
import { type BackendName, backendNames, backends } from './names.js'
import { findPackages, versionOf } from './packages.js'
import { probeScript } from './probe.js'

type Place = DoctorPlace<{ readonly backend?: BackendName }>

/**
 * Which backend a member would use. Here each is tried until one loads; of a host over SSH, to which the packages travel
 * with the flow, it is asked whether its system is one for them.
 */
export const backendCheck: DoctorCheck<{ readonly backend?: BackendName }> = {
  name: 'backend',
  command: (place) =>
    place.flowDir === undefined
      ? ['sh', '-c', system]
      : [process.execPath, '-e', tryEach, JSON.stringify(tries(place))],
  judge: (end, place) => (place.flowDir === undefined ? judgeHost(end, place) : judgeHere(end, place)),
  alike: true,
  timeout: '3m',
}

const system =
  'echo "$(uname -s) $(uname -m) $(getconf GNU_LIBC_VERSION 2>/dev/null)"; ! grep -qw avx /proc/cpuinfo || echo avx'

/** Prints the first backend that loads, then why those before it do not. */
const tryEach = `
const { spawnSync } = require('node:child_process')
const refused = []
for (const { about, args } of JSON.parse(process.argv[1])) {
  const { status, signal, stderr } = spawnSync(process.execPath, ['-e', ${JSON.stringify(probeScript)}, ...args], { encoding: 'utf8' })
  if (status === 0) { console.log(JSON.stringify({ about, refused })); process.exit(0) }
  refused.push(about + ' does not load: ' + (stderr.trim().split('\\n').at(-1) || signal || status))
}
console.log(JSON.stringify({ refused }))
`

const wanted = ({ options }: Place) => (options.backend ? [options.backend] : backendNames)

/** What is installed of what would do, best first. */
const installed = (place: Place) =>
  wanted(place).flatMap((name) => {
    const { tfjs, backend } = findPackages(place.flowDir ?? process.cwd(), name)
    return backend === undefined ? [] : [{ name, about: `${name} ${versionOf(backend)}`, tfjs, backend }]
  })

const tries = (place: Place) =>
  installed(place).map(({ name, about, tfjs, backend }) => ({
    about,
    args: [tfjs, backend, backends[name].registered],
  }))

function judgeHere({ stdout, stderr }: DoctorEnd, place: Place): string {
  let told: { about?: string; refused: string[] }
  try {
    told = JSON.parse(stdout) as typeof told
  } catch {
    told = { refused: [stderr.trim().split('\n').at(-1) ?? ''] }
  }
  const why = told.refused.join('; ')
  if (told.about === undefined) throw none(place, why)
  return why === '' ? told.about : `${told.about} (${why})`
}

/** The libraries of TensorFlow are for the system that they were installed on, and need glibc 2.27, and on x64 AVX. */
function judgeHost({ stdout, stderr }: DoctorEnd, place: Place): string {
  const [first = '', ...features] = stdout.trim().split('\n')
  const [kernel = '', machine = '', , libc = ''] = first.split(/\s+/)
  if (kernel === '') throw none(place, stderr.trim())
  const arch = { x86_64: 'x64', aarch64: 'arm64' }[machine] ?? machine
  const [major = 0, minor = 0] = libc.split('.').map(Number)
  const computes = arch !== 'x64' || features.includes('avx')
  const fits = kernel.toLowerCase() === process.platform && arch === process.arch && (major > 2 || minor >= 27)
  const serves = fits && computes
  const [best] = installed(place).filter(({ name }) => name !== 'tfjs-node' || serves)
  if (best) return best.about
  throw none(
    place,
    `tfjs-node as it is here does not run on ${kernel} ${machine} ${libc || 'without glibc'}${computes ? '' : ', without AVX'}`,
  )
}

const none = (place: Place, why: string) =>
  new GangflowError({
    code: 'E_TF_BACKEND',
    what: `${wanted(place).join(', ')}: ${why || 'not installed'}`,
    fix: 'npm install @tensorflow/tfjs-node (where its library cannot be had: npx gangflow-tfjs-node), or leave `backend` out',
  })
