import { open, readdir } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { Output } from '../../datastore/artifacts/output.js'
import type { ArtifactRef, Datastore } from '../../datastore/contract.js'
import { GangflowError, messageOf } from '../../errors/base.js'

/** Bytes in memory at once, whatever the files' sizes. */
const PIECE = 4 << 20

/**
 * The files of a directory as one artifact: an object of relative path (with `/`) to bytes, in sorted order. Streamed
 * from the disk into the store. Throws `E_GANG_COLLECT`, also when a file changes its size meanwhile.
 */
export async function collectDirectory(datastore: Datastore, name: string, directory: string): Promise<ArtifactRef> {
  try {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true })
    const paths = entries
      .filter((entry) => entry.isFile())
      .map((entry) => join((entry as unknown as { parentPath?: string }).parentPath ?? entry.path, entry.name))
      .sort()
    const blob = await datastore.putBlob(encoded(directory, paths))
    return { ...blob, codec: 'cbor', type: 'Object' }
  } catch (cause) {
    if (GangflowError.is(cause)) throw cause
    throw new GangflowError(
      {
        code: 'E_GANG_COLLECT',
        what: `the files of ${directory} could not be collected as '${name}': ${messageOf(cause)}`,
        fix: 'check that the directory exists on this member, and that nothing writes into it any more',
      },
      { cause },
    )
  }
}

/** What `encodeArtifact` gives for the object, but with the files read as they are written. */
async function* encoded(directory: string, paths: readonly string[]): AsyncGenerator<Uint8Array> {
  yield piece((output) => output.head(5, paths.length))
  for (const path of paths) {
    const file = await open(path, 'r')
    try {
      const { size } = await file.stat()
      yield piece((output) => {
        output.text(relative(directory, path).split(sep).join('/'))
        output.head(2, size)
      })
      for (let left = size; left > 0; ) {
        const { bytesRead, buffer } = await file.read(Buffer.allocUnsafeSlow(Math.min(PIECE, left)), 0, undefined, null)
        if (bytesRead === 0) throw new Error(`${path} became ${left} bytes shorter while it was read`)
        yield buffer.subarray(0, bytesRead)
        left -= bytesRead
      }
    } finally {
      await file.close()
    }
  }
}

function piece(write: (output: Output) => void): Buffer {
  const output = new Output()
  write(output)
  return Buffer.concat(output.finish())
}
