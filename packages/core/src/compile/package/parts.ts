/** A file that travels; `source` is where it is here. */
export interface PartFile {
  /** Absolute path that its place in the copy comes from. */
  readonly at: string
  readonly source: string
  readonly size: number
  readonly executable: boolean
  /** Changes when the content may have. */
  readonly stamp: string
  /** Milliseconds since 1970. */
  readonly changedAt: number
}

/** Files that belong together: one npm package, core, or a folder of the project. */
export interface Part {
  readonly name: string
  readonly version?: string
  readonly kind: 'project' | 'package' | 'core'
  /** Its folder: absolute, real. */
  readonly folder: string
  readonly files: readonly PartFile[]
  /** Of absolute path, to the target as it is to be read. */
  readonly links: readonly (readonly [at: string, target: string])[]
  readonly folders: readonly string[]
}

export const bytesOf = ({ files }: Pick<Part, 'files'>): number => files.reduce((sum, { size }) => sum + size, 0)
