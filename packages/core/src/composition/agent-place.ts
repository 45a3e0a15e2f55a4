import { readFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { makeRunDirectory } from '../body/run-directory.js'
import { openDatastoreSync } from '../datastore/open.js'
import { discover } from '../discovery/discover.js'
import { availableCpus } from '../errors/cpus.js'
import type { MemberBootstrap, Prelude } from '../gang/contract.js'
import { memberIdOf } from '../gang/member-id.js'
import { RELAYED } from '../gang/store.js'
import { assignedGpus } from '../process/gpus.js'

/**
 * The place of a member that an engine has started together with all others: what its environment says of this node.
 * `made`: its directory for sockets and the path of its temporary files, where whoever started it cleans up after it.
 */
export function placeHere(
  { address, datastore }: Prelude,
  made: { readonly directory?: string | undefined; readonly temp?: string | undefined } = {},
  env: NodeJS.ProcessEnv = process.env,
): MemberBootstrap {
  const found = discover({ env, readFile: (path) => readFileSync(path, 'utf8'), hostname: hostname() })
  const index = found.index ?? 0
  const memberId = memberIdOf(index, found.size)
  const directory = made.directory ?? makeRunDirectory(env)
  const temp = made.temp ?? join(tmpdir(), `gangflow-${basename(directory)}`)
  const { flow, run, step, task, attempt } = address
  const place = [flow, run, step, task, String(attempt), memberId]
  return {
    memberId,
    host: found.hosts?.[index]?.host ?? hostname(),
    addresses: [],
    slots: found.slots ?? availableCpus(),
    gpus: assignedGpus(env),
    directory,
    temp,
    spool: datastore === RELAYED ? `${temp}-spool` : openDatastoreSync(datastore).scratch('spool', ...place),
  }
}
