import type { ArtifactRef } from '../contract.js'
import type { ArtifactTable } from '../records.js'
import { sameArtifact } from './save.js'

export interface ParentTable {
  readonly step: string
  readonly artifacts: ArtifactTable
  /** Names that were ambiguous there already. */
  readonly ambiguous?: Readonly<Record<string, readonly string[]>> | undefined
}

/**
 * What a join starts from: the artifacts on which all parents that have them agree, and the names on which they do
 * not, with the steps that set them.
 */
export function joinTables(parents: readonly ParentTable[]): {
  artifacts: ArtifactTable
  ambiguous: Readonly<Record<string, readonly string[]>>
} {
  const artifacts = new Map<string, ArtifactRef>()
  const steps = new Map<string, Set<string>>()
  const differing = new Set<string>()
  for (const parent of parents) {
    for (const [name, ref] of Object.entries(parent.artifacts)) {
      const first = artifacts.get(name)
      if (first === undefined) artifacts.set(name, ref)
      else if (!sameArtifact(first, ref)) differing.add(name)
      steps.set(name, (steps.get(name) ?? new Set()).add(parent.step))
    }
    for (const [name, from] of Object.entries(parent.ambiguous ?? {})) {
      differing.add(name)
      steps.set(name, new Set([...(steps.get(name) ?? []), ...from]))
    }
  }
  for (const name of differing) artifacts.delete(name)
  return {
    artifacts: Object.fromEntries(artifacts),
    ambiguous: Object.fromEntries([...differing].map((name) => [name, [...(steps.get(name) ?? [])]])),
  }
}
