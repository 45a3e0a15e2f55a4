import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { installPackages } from '../../scripts/debian.mjs'

/** The commands that a cluster is made of, and the Debian package of each. */
const commands: Readonly<Record<string, string>> = {
  slurmctld: 'slurmctld',
  slurmd: 'slurmd',
  sbatch: 'slurm-client',
  munged: 'munge',
}

/** Where the daemons are, which is not on every PATH. */
export const daemonPath = (): string => `${process.env['PATH'] ?? ''}${delimiter}/usr/sbin${delimiter}/sbin`

const missing = (): string[] =>
  Object.keys(commands).filter(
    (name) =>
      !daemonPath()
        .split(delimiter)
        .some((folder) => existsSync(join(folder, name))),
  )

/** Installs what is missing where this is Debian and root; else throws an Error with the command that brings it. */
export function getReady(): void {
  const lacking = missing()
  if (lacking.length === 0) return
  const packages = [...new Set(lacking.map((name) => commands[name]!))]
  if (installPackages(packages) && missing().length === 0) return
  throw new Error(`a test cluster needs ${lacking.join(', ')}\n  fix: apt-get install ${packages.join(' ')}`)
}
