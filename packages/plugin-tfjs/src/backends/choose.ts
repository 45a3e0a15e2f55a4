import { GangflowError } from '@gangflow/core'
import { loadBackend } from './load.js'
import { type BackendName, backendNames } from './names.js'
import { type Finding, probe } from './probe.js'
import type { Tf } from './tf.js'

export interface BackendOptions {
  /** Folder of the program: its TensorFlow.js is used. */
  readonly folder: string
  /** The only one that will do. Default: the first of tfjs-node, wasm and cpu that every member has. */
  readonly backend?: BackendName
  /** Gives everyone's value in the order of the nodes; all members call it equally often. Default: one member alone. */
  readonly agree?: (own: Finding) => Promise<readonly Finding[]>
  /** Told the choice and, where it is not the best one, why. */
  readonly log?: (line: string) => void
  readonly signal?: AbortSignal
}

export interface Chosen {
  readonly name: BackendName
  readonly tf: Tf
}

/**
 * Chooses a backend and makes it this thread's; the same on all members.
 * Errors: `E_TF_MISSING`, `E_TF_COPIES`, `E_TF_MEMBERS`; `E_TF_BACKEND` when the one that was asked for is not there on
 * some member; `E_TF_FELL_BACK` when wasm is installed but cannot be begun: cpu, a hundred times slower, is no answer.
 */
export async function openBackend(options: BackendOptions): Promise<Chosen> {
  const { folder, backend, signal, agree = async (own) => [own], log = () => {} } = options
  checkName(backend)
  const refused: string[] = []
  for (const name of backend ? [backend] : backendNames) {
    signal?.throwIfAborted()
    const findings = await agree(await probe(folder, name, signal))
    checkVersions(findings)
    const without = findings.flatMap((finding, node) => (finding.loads ? [] : [{ ...finding, node }]))
    if (without.length === 0) {
      const members = findings.length > 1 ? ` on all ${findings.length} members` : ''
      log(`TensorFlow.js computes on ${findings[0]?.about}${members}${refused.map((why) => `; ${why}`).join('')}`)
      return { name, tf: await loadBackend(folder, name) }
    }
    const why = said(without, findings.length)
    const where = without[0]?.node === undefined || findings.length === 1 ? {} : { node: without[0].node }
    if (backend) throw notThere(name, why, where)
    if (name === 'wasm' && without.some(({ broken }) => broken))
      throw new GangflowError({
        code: 'E_TF_FELL_BACK',
        what: `the backend wasm is installed but cannot be begun: ${why}`,
        fix: "npm install it anew; cpu, which is a hundred times slower, is taken only when asked for: backend: 'cpu'",
        ...where,
      })
    refused.push(why)
  }
  throw notThere('cpu', refused.join('; '), {})
}

function checkName(backend: string | undefined): void {
  if (backend === undefined || (backendNames as readonly string[]).includes(backend)) return
  throw new GangflowError({
    code: 'E_TF_BACKEND',
    what: `there is no backend '${backend}'`,
    fix: `give one of ${backendNames.join(', ')}, or none`,
  })
}

/** Members of one version compute alike. */
function checkVersions(findings: readonly Finding[]): void {
  const other = findings.findIndex(({ version }) => version !== findings[0]?.version)
  if (other < 0) return
  throw new GangflowError({
    code: 'E_TF_MEMBERS',
    what: `node 0 has TensorFlow.js ${findings[0]?.version}, node ${other} has ${findings[other]?.version}`,
    fix: 'install the same version everywhere, or let the packages travel with the flow',
    node: other,
  })
}

/** Each reason once, with the nodes that have it. */
function said(without: readonly (Finding & { node: number })[], members: number): string {
  const reasons = new Map<string, number[]>()
  for (const { about, node } of without) reasons.set(about, [...(reasons.get(about) ?? []), node])
  const on = (nodes: number[]) =>
    nodes.length === members ? '' : ` on node${nodes.length > 1 ? 's' : ''} ${nodes.join(', ')}`
  return [...reasons].map(([about, nodes]) => about + on(nodes)).join('; ')
}

const notThere = (name: BackendName, why: string, where: { node?: number }) =>
  new GangflowError({
    code: 'E_TF_BACKEND',
    what: `the backend ${name} was asked for: ${why}`,
    fix:
      name === 'tfjs-node'
        ? 'npm install @tensorflow/tfjs-node; where its library cannot be had: npx gangflow-tfjs-node; or leave `backend` out'
        : 'install it, or leave `backend` out',
    ...where,
  })
