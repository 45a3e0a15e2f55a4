import { createHash } from 'node:crypto'
import { type FileHandle, open, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import type { BlobRef, Datastore } from '../../datastore/contract.js'
import { GangflowError, messageOf } from '../../errors/base.js'
import { type Pack, PIECE } from './manifest.js'
import type { Part, PartFile } from './parts.js'

/** A pack of small files ends above this many bytes. */
const PACK = 1 << 20
/** Files from this size on are packed alone. */
const LARGE = 256 << 10
/** Bytes that are compressed to see whether that is of use. */
const SAMPLE = 64 << 10
/** On average this many small files of the project are in one pack: a change sends all of them. */
const PROJECT_PACK = 8

/** Files that are stored together: several small ones, or one large one. */
export type Group = readonly PartFile[]

export interface StoredGroup {
  readonly hashes: readonly string[]
  /** `first` counts from the group's first file. */
  readonly packs: readonly Pack[]
}

/**
 * A part's files in groups. Borders follow from the places alone, so that a change of a file moves none, and one that
 * comes or goes moves those beside it at most.
 */
export function groupsOf(part: Part, placeOf: (path: string) => string): Group[] {
  const groups: PartFile[][] = []
  let open: PartFile[] | undefined
  let bytes = 0
  for (const file of part.files) {
    if (file.size >= LARGE) {
      groups.push([file])
      open = undefined
      continue
    }
    if (open === undefined) {
      open = []
      bytes = 0
      groups.push(open)
    }
    open.push(file)
    bytes += file.size
    const border = part.kind === 'project' && firstByte(placeOf(file.at)) % PROJECT_PACK === 0
    if (border || bytes > PACK) open = undefined
  }
  return groups
}

/** Reads a group and stores it; `moved` is told the bytes of each blob that was not there. */
export async function storeGroup(
  group: Group,
  store: Datastore,
  signal: AbortSignal | undefined,
  moved: (bytes: number) => void,
): Promise<StoredGroup> {
  const [only] = group as [PartFile]
  const packs: Pack[] = []
  const put = async (bytes: Uint8Array): Promise<void> => {
    const pressed = await compressed(bytes)
    const blob = await putBlob(store, pressed ?? bytes, signal, moved)
    packs.push({ blob, ...(pressed ? { gzip: true } : {}), first: 0, count: group.length })
  }
  if (only.size >= LARGE) {
    const hash = createHash('sha256')
    for await (const piece of piecesOf(only)) {
      signal?.throwIfAborted()
      hash.update(piece)
      await put(piece)
    }
    return { hashes: [hash.digest('hex')], packs }
  }
  const read: Buffer[] = []
  for (const file of group) read.push(await readSmall(file))
  signal?.throwIfAborted()
  await put(Buffer.concat(read))
  return { hashes: read.map(sha256), packs }
}

const firstByte = (place: string): number => createHash('sha256').update(place).digest()[0]!

/** Gzip'd, or undefined where that is of no use; of much, a sample from the middle says so. */
async function compressed(bytes: Uint8Array): Promise<Uint8Array | undefined> {
  const press = promisify(gzip)
  if (bytes.length > LARGE) {
    const at = bytes.length >> 1
    const sample = bytes.subarray(at, at + SAMPLE)
    if ((await press(sample, { level: 1 })).length > sample.length * 0.95) return undefined
  }
  const pressed = await press(bytes, { level: 5 })
  return pressed.length < bytes.length * 0.95 ? pressed : undefined
}

/** Seen by all, on disk with the next durable write. */
export async function putBlob(
  store: Datastore,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
  moved: (bytes: number) => void,
): Promise<BlobRef> {
  const there = await store.hasBlob(sha256(bytes))
  const ref = await store.putBlob(bytes, { durable: false, ...(signal && { signal }) })
  if (!there) moved(ref.size)
  return ref
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

async function readSmall(file: PartFile): Promise<Buffer> {
  const bytes = await readFile(file.source).catch(unreadable(file))
  // What was written meanwhile (a log) is not part of it; what is missing is.
  if (bytes.length < file.size) throw changed(file)
  return bytes.length > file.size ? bytes.subarray(0, file.size) : bytes
}

async function* piecesOf(file: PartFile): AsyncGenerator<Buffer> {
  const handle: FileHandle = await open(file.source, 'r').catch(unreadable(file))
  try {
    for (let at = 0; at < file.size; ) {
      const wanted = Math.min(PIECE, file.size - at)
      const piece = Buffer.allocUnsafe(wanted)
      let have = 0
      while (have < wanted) {
        const { bytesRead } = await handle.read(piece, have, wanted - have, at + have)
        if (bytesRead === 0) throw changed(file)
        have += bytesRead
      }
      at += wanted
      yield piece
    }
  } finally {
    await handle.close()
  }
}

const changed = ({ source }: PartFile) =>
  new GangflowError({
    code: 'E_CODE_CHANGED',
    what: `${source} was cut short while it was read for the hosts`,
    fix: 'run it again, or leave the file out: name it in .gangflowignore',
  })

const unreadable =
  ({ source }: PartFile) =>
  (cause: unknown): never => {
    throw new GangflowError(
      {
        code: 'E_CODE_UNREADABLE',
        what: `${source} cannot be read for the hosts: ${messageOf(cause)}`,
        fix: 'let it be read, or leave it out: name it in .gangflowignore',
      },
      { cause },
    )
  }
