import { GangflowError } from '@gangflow/core'

/** An MPI as it calls itself. What differs between them is in openmpi.ts and hydra.ts. */
export interface Implementation {
  /** `orte`: Open MPI up to 4; `prrte`: from 5 on; `hydra`: MPICH and what comes of it. */
  readonly launcher: 'orte' | 'prrte' | 'hydra'
  /** `Open MPI`, `MPICH`, `Intel MPI`. */
  readonly vendor: string
  /** `5.0.11`. */
  readonly version: string
}

/**
 * Reads what `mpirun --version` prints. Pure. Throws `E_MPI_UNKNOWN`.
 * Open MPI: `mpirun (Open MPI) 5.0.11`; MPICH: `HYDRA build details:` and a line `Version:`; Intel: `Intel(R) MPI Library
 * for Linux* OS, Version 2021.11 Build …`.
 */
export function readVersion(mpirun: string, stdout: string): Implementation {
  const open = /^\S+ \((?:Open MPI|OpenRTE)\) ((\d+)\.\S+)/m.exec(stdout)
  if (open) return { launcher: Number(open[2]) >= 5 ? 'prrte' : 'orte', vendor: 'Open MPI', version: open[1]! }
  const prrte = /^\S+ \(PRRTE\) (\d\S*)/m.exec(stdout)
  if (prrte) return { launcher: 'prrte', vendor: 'PRRTE', version: prrte[1]! }
  const intel = /^Intel\(R\) MPI Library .*Version (\d[\w. ]*?)(?: Build|$)/m.exec(stdout)
  if (intel) return { launcher: 'hydra', vendor: 'Intel MPI', version: intel[1]! }
  const hydra = /^HYDRA build details:[\s\S]*?^\s*Version:\s+(\S+)/m.exec(stdout)
  if (hydra) return { launcher: 'hydra', vendor: 'MPICH', version: hydra[1]! }
  throw new GangflowError({
    code: 'E_MPI_UNKNOWN',
    what: `${mpirun} is of no implementation that is known here: it says '${stdout.trim().split('\n')[0] ?? ''}'`,
    fix: 'install Open MPI (4 or newer) or MPICH, or name the installation by `home`',
  })
}

/** `Open MPI 5.0.11`. */
export const nameOf = ({ vendor, version }: Implementation): string => `${vendor} ${version}`

/** What the launcher starts on other hosts, beside itself. */
export const daemonOf = ({ launcher }: Implementation): string =>
  ({ orte: 'orted', prrte: 'prted', hydra: 'hydra_pmi_proxy' })[launcher]
