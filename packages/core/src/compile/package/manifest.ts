import { promisify } from 'node:util'
import { gunzip, gzip } from 'node:zlib'
import type { BlobRef } from '../../datastore/contract.js'
import type { HostPlatform } from './host-platform.js'
import type { Native } from './natives.js'

/** What a package blob holds, as gzip'd JSON. Places are paths in the copy, `/`-separated, without a first slash. */
export interface Manifest {
  readonly version: 1
  /** Place of the flow's file. */
  readonly flow: string
  /** Place of core's folder. */
  readonly core: string
  /** The compiled flow; absent parts are as they are locally. */
  readonly code: Template
  readonly map: BlobRef
  readonly script?: Template
  readonly parts: readonly PartRef[]
  readonly natives: readonly Native[]
  readonly packedOn: HostPlatform
}

/** A text with the host's own paths at some places. */
export interface Template {
  readonly blob: BlobRef
  /** In order: what stands from..to (UTF-16 units) becomes the quoted path, or file URL, of this place. */
  readonly slots: readonly (readonly [from: number, to: number, form: 'path' | 'url', place: string])[]
}

/** One npm package, core, or folder of the project. */
export interface PartRef {
  readonly name: string
  readonly version?: string
  /** `project`: what a step may write in; each copy has its own. Others are shared by copies. */
  readonly kind: 'project' | 'package' | 'core'
  /** The blob of its `PartIndex`. */
  readonly index: BlobRef
  readonly files: number
  readonly bytes: number
}

export interface PartIndex {
  readonly files: readonly FileEntry[]
  readonly links: readonly (readonly [place: string, target: string])[]
  /** Folders that nothing else makes. */
  readonly folders: readonly string[]
  readonly packs: readonly Pack[]
}

/** `x`: executable. */
export type FileEntry = readonly [place: string, size: number, hash: string, mode?: 'x']

/** A blob that has several small files of a part, one after the other, or a piece of a large one. */
export interface Pack {
  readonly blob: BlobRef
  readonly gzip?: true
  /** Index of its first file, and how many it has. */
  readonly first: number
  readonly count: number
}

/** Bytes of a large file in one pack. */
export const PIECE = 8 << 20

export const encode = async (value: Manifest | PartIndex): Promise<Uint8Array> =>
  promisify(gzip)(Buffer.from(JSON.stringify(value)), { level: 6 })

export const decode = async <T extends Manifest | PartIndex>(bytes: Uint8Array): Promise<T> =>
  JSON.parse((await promisify(gunzip)(bytes)).toString('utf8')) as T
