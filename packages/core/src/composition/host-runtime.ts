import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { fitNode, type HostFacts } from '../backend/ssh/facts.js'
import type { RuntimeFor } from '../backend/ssh/runtime.js'
import { GangflowError } from '../errors/base.js'
import type { BackendPlace } from '../gang/contract.js'
import { nativeHelper } from '../process/keeper.js'

/** Core's own files and the keeper of this machine, and its Node for hosts that have none. */
export function hostRuntime(place: BackendPlace): RuntimeFor {
  return async (host, facts) => {
    const keeper = await nativeHelper()
    if (keeper === undefined || !alike(facts)) throw otherPlatform(host, facts)
    const dist = dirname(place.agent)
    const names = readdirSync(dist).filter((name) => name.endsWith('.cjs') || name === 'body.js')
    const withNode = facts.node === undefined || !fitNode(facts.node.version)
    const files = [
      ...names.map((name) => [dist, name] as const),
      split(keeper),
      ...(withNode ? [split(process.execPath)] : []),
    ]
    const hash = createHash('sha256')
    for (const [folder, name] of files) hash.update(name).update(readFileSync(`${folder}/${name}`))
    return {
      hash: hash.digest('hex').slice(0, 32),
      agent: 'agent.cjs',
      ...(withNode ? { node: 'node' } : {}),
      tar: () =>
        spawn(
          'tar',
          [
            ...[
              '-chf',
              '-',
              `--transform=s,^${basename(keeper)}$,keeper,`,
              `--transform=s,^${basename(process.execPath)}$,node,`,
            ],
            ...files.flatMap(([folder, name]) => ['-C', folder, name]),
          ],
          { stdio: ['ignore', 'pipe', 'inherit'] },
        ).stdout,
    }
  }
}

const split = (path: string): readonly [folder: string, name: string] => [dirname(path), basename(path)]

function alike({ platform, arch, libc }: HostFacts): boolean {
  return platform === process.platform && arch === process.arch && libc.startsWith(thisLibc())
}

const thisLibc = (): string => {
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } }
  return process.platform !== 'linux' ? '' : header?.glibcVersionRuntime ? 'glibc' : 'musl'
}

function otherPlatform(host: string, { platform, arch, libc }: HostFacts): GangflowError {
  return new GangflowError({
    code: 'E_SSH_HOST_UNFIT',
    what: `host ${host} is ${platform} ${arch} ${libc}, this machine ${process.platform} ${process.arch}: what runs there cannot be taken from here`,
    fix: 'start the run from a machine of the same kind as the hosts',
    host,
  })
}
