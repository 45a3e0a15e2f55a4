/** Codes of this plugin; docs/reference/errors.md lists the same under `plugin-mpi`. */
export const codes = {
  E_MPI_OPTION: 'an option of @mpi or current.mpi is wrong',
  E_MPI_MISSING: 'there is no MPI installation on the member',
  E_MPI_UNKNOWN: 'mpirun is of no implementation that is known here',
  E_MPI_CONTROL: 'current.mpi was called on a member that is not the control',
  E_MPI_SLOTS: 'more ranks are asked for than the members have slots',
  E_MPI_PROGRAM: 'there is no such program on any member',
  E_MPI_BROADCAST: 'the program is on the control only',
  E_MPI_CWD: 'the working directory does not exist on a member',
  E_MPI_MEMBER: 'a member cannot take part in an MPI call',
  E_MPI_RANK: 'a rank failed',
  E_MPI_WORLD: 'the ranks were not one world of the size that was asked for',
  E_MPI_DAEMON: 'a daemon of the launcher, or the channel to it, was lost',
  E_MPI_LAUNCHER: 'mpirun itself failed',
  E_MPI_TIMEOUT: 'the ranks ran longer than `timeout`',
  E_MPI_AWAIT: 'a step ended while its current.mpi.run was still running',
} as const
