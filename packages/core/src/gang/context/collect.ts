import { readdir, readFile } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { saveValues } from '../../datastore/artifacts/save.js'
import type { ArtifactRef, Datastore } from '../../datastore/contract.js'
import { GangflowError, messageOf } from '../../errors/base.js'

/** The files of a directory as one artifact: an object of relative path (with `/`) to bytes, in sorted order. */
export async function collectDirectory(datastore: Datastore, name: string, directory: string): Promise<ArtifactRef> {
  try {
    const entries = await readdir(directory, { recursive: true, withFileTypes: true })
    const paths = entries
      .filter((entry) => entry.isFile())
      .map((entry) => join((entry as unknown as { parentPath?: string }).parentPath ?? entry.path, entry.name))
      .sort()
    const files: Record<string, Buffer> = {}
    for (const path of paths) files[relative(directory, path).split(sep).join('/')] = await readFile(path)
    const [ref] = await saveValues(datastore, [files], { label: name })
    return ref!
  } catch (cause) {
    if (GangflowError.is(cause)) throw cause
    throw new GangflowError(
      {
        code: 'E_GANG_COLLECT',
        what: `the files of ${directory} could not be collected as '${name}': ${messageOf(cause)}`,
        fix: 'check that the directory exists on this member',
      },
      { cause },
    )
  }
}
