import { describe, expect, it } from 'vitest'
import { daemonOf, nameOf, readVersion } from '../src/implementation.js'

/** What these print for `mpirun --version`, as recorded. */
const recorded = {
  debian: 'mpirun (Open MPI) 4.1.4\n\nReport bugs to http://www.open-mpi.org/community/help/\n',
  wheel: 'mpirun (Open MPI) 5.0.11\n\nReport bugs to https://www.open-mpi.org/community/help/\n',
  exec: 'mpiexec (OpenRTE) 4.0.3\n\nReport bugs to http://www.open-mpi.org/community/help/\n',
  prrte: 'prterun (PRRTE) 3.0.14\n\nReport bugs to https://github.com/openpmix/prrte\n',
  mpich: `HYDRA build details:
    Version:                                 5.0.2
    Release Date:                            Fri Sep 25 20:45:26 UTC 2026
    CC:                              cc
    Configure options:                       --with-device=ch4:ucx,ofi --with-pm=hydra:gforker
    Launchers available:                     ssh rsh fork slurm ll lsf sge manual persist
`,
  intel: `Intel(R) MPI Library for Linux* OS, Version 2021.18.1 Build 20260626 (id: b44796a)
Copyright 2003-2026, Intel Corporation.
`,
}

describe('mpirun --version', () => {
  it.each([
    ['debian', 'orte', 'Open MPI 4.1.4', 'orted'],
    ['wheel', 'prrte', 'Open MPI 5.0.11', 'prted'],
    ['exec', 'orte', 'Open MPI 4.0.3', 'orted'],
    ['prrte', 'prrte', 'PRRTE 3.0.14', 'prted'],
    ['mpich', 'hydra', 'MPICH 5.0.2', 'hydra_pmi_proxy'],
    ['intel', 'hydra', 'Intel MPI 2021.18.1', 'hydra_pmi_proxy'],
  ] as const)('%s is %s', (text, launcher, name, daemon) => {
    const found = readVersion('/opt/mpi/bin/mpirun', recorded[text])
    expect(found.launcher).toBe(launcher)
    expect(nameOf(found)).toBe(name)
    expect(daemonOf(found)).toBe(daemon)
  })

  it.each([
    '',
    'mpiexec: version 1.0 of something else\n',
    'Sorry! You were supposed to get help about:\n    version\n',
  ])('refuses %j, with what it said', (text) => {
    expect(() => readVersion('/opt/mpi/bin/mpirun', text)).toThrow(
      expect.objectContaining({ code: 'E_MPI_UNKNOWN', what: expect.stringContaining(text.split('\n')[0]!) }),
    )
  })
})
