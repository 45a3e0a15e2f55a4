import { relative } from 'node:path'
import { type PackedFlow, readBundle } from './bundle-text.js'
import type { PackageOptions } from './contract.js'
import { gather } from './gather.js'
import { bytesOf } from './parts.js'
import { projectFolder } from './project-parts.js'
import { bytesFrom, DEFAULT_LIMIT, largest } from './size-limit.js'

/** What would travel to hosts, for people and `--json`. Nothing is stored for it. */
export interface PackageSummary {
  readonly files: number
  readonly bytes: number
  /** Above it a run is refused. */
  readonly limit: number
  /** Packages and folders of the project, the largest first. */
  readonly parts: readonly {
    readonly name: string
    readonly version?: string
    readonly kind: 'project' | 'package' | 'core'
    readonly files: number
    readonly bytes: number
  }[]
  /** What takes most: packages, and entries of the project's folders. */
  readonly largest: readonly { readonly name: string; readonly bytes: number }[]
  /** The project's own files, from the folder of the flow's package; at most 1000. */
  readonly project: readonly string[]
}

export async function summarize(
  flow: PackedFlow,
  options: PackageOptions & { readonly without?: readonly string[] } = {},
  signal?: AbortSignal,
): Promise<PackageSummary> {
  const { addons } = await readBundle(flow)
  const { parts } = await gather(flow, addons, options, signal)
  const listed = parts.map((part) => {
    const { name, version, kind, files } = part
    return { name, ...(version === undefined ? {} : { version }), kind, files: files.length, bytes: bytesOf(part) }
  })
  const project = parts.filter(({ kind }) => kind === 'project').flatMap(({ files }) => files)
  return {
    files: listed.reduce((sum, { files }) => sum + files, 0),
    bytes: listed.reduce((sum, { bytes }) => sum + bytes, 0),
    limit: bytesFrom(options.limit ?? DEFAULT_LIMIT),
    parts: listed.filter(({ files }) => files > 0).sort((a, b) => b.bytes - a.bytes),
    largest: largest(parts, 10),
    project: project.slice(0, 1000).map(({ at }) => relative(projectFolder(flow.file), at)),
  }
}
