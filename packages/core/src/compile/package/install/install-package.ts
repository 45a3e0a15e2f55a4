import type { Datastore } from '../../../datastore/contract.js'
import { GangflowError } from '../../../errors/base.js'
import type { InstallOptions, LocalFlow, PackageRef } from '../contract.js'
import { each } from '../each.js'
import { type HostPlatform, thisPlatform } from '../host-platform.js'
import { decode, type Manifest, type PartIndex } from '../manifest.js'
import { requirePlatform } from '../natives.js'
import { cacheFailure, openCodeCache } from './cache-folder.js'
import { collectCode } from './collect.js'
import { fetchFiles } from './file-cache.js'
import { withLock } from './lock.js'
import { type LaidPart, makeTree, soundTree, use } from './tree.js'

/** Indexes that are fetched at once. */
const AT_ONCE = 8
/** Between two signs that a copy is in use. */
const HOUR = 3_600_000

/**
 * Makes a working copy of a package on this host, or finds the one that is there: files are fetched once by content,
 * and only by one process of the host. The copy counts as used until this process ends. Throws E_CODE_PLATFORM before anything is
 * fetched, E_CODE_CACHE for what the disk refuses, E_DATASTORE_* for what the datastore does not give.
 */
export async function installPackage(
  store: Datastore,
  ref: PackageRef,
  cacheDirectory: string,
  signal: AbortSignal,
  { progress }: InstallOptions = {},
  host: HostPlatform = thisPlatform(),
): Promise<LocalFlow> {
  const { files, bytes } = ref
  const manifest = await decode<Manifest>(await store.getBlob(ref.package.hash, { signal }))
  if (manifest.version !== 1) throw unknownVersion(manifest.version)
  requirePlatform(manifest.natives, manifest.packedOn, host)
  const cache = await openCodeCache(cacheDirectory)
  const id = ref.package.hash.slice(0, 32)
  let moved = 0
  const came = (more: number) => {
    moved += more
    progress?.({ phase: 'install', files, bytes, moved })
  }
  const tick = () => came(0)
  const make = async () => {
    // Another process of the host may have made it meanwhile.
    const there = await soundTree(cache, id, tick)
    if (there) return there
    const parts: LaidPart[] = []
    await each([...manifest.parts.entries()], AT_ONCE, async ([at, { index: blob, kind }]) => {
      const index = await decode<PartIndex>(await store.getBlob(blob.hash, { signal }))
      parts[at] = { index, own: kind === 'project' }
    })
    await fetchFiles(
      cache,
      store,
      parts.map(({ index }) => index),
      signal,
      came,
    )
    return makeTree(cache, id, manifest, parts, store, signal, tick)
  }
  try {
    const flow = (await soundTree(cache, id, tick)) ?? (await withLock(cache, id, { signal, beat: tick }, make))
    keepInUse(flow)
    // What it cannot remove now it will the next time.
    void collectCode(cache).catch(() => {})
    return flow
  } catch (error) {
    throw cacheFailure(error, cache.root)
  }
}

function keepInUse({ bundle }: LocalFlow): void {
  const tree = bundle.slice(0, bundle.lastIndexOf('/flow/'))
  setInterval(() => void use(tree).catch(() => {}), HOUR).unref()
}

const unknownVersion = (version: unknown) =>
  new GangflowError({
    code: 'E_CODE_BROKEN',
    what: `the package of the flow is of version ${String(version)}, which this core does not know`,
    fix: 'use the same version of @gangflow/core for the launcher and on the hosts',
  })
