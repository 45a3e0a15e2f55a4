import { join } from 'node:path'
import { GangflowError } from '@gangflow/core'
import { type FoundMpi, isProgram } from './find-mpi.js'
import { type Implementation, nameOf } from './implementation.js'
import type { MpiLanguage } from './options.js'

/** What each language's compiler is called, the plainest first. */
const wrappers: Readonly<Record<MpiLanguage, readonly string[]>> = {
  c: ['mpicc'],
  'c++': ['mpicxx', 'mpic++', 'mpiCC'],
  fortran: ['mpifort', 'mpif90'],
}

/** Intel's own compilers before those that call GNU's. */
const intel: Readonly<Record<MpiLanguage, readonly string[]>> = {
  c: ['mpiicx', 'mpiicc'],
  'c++': ['mpiicpx', 'mpiicpc'],
  fortran: ['mpiifx', 'mpiifort'],
}

const extensions: readonly (readonly [MpiLanguage, RegExp])[] = [
  ['c', /\.c$/],
  ['c++', /\.(?:cc|cpp|cxx|c\+\+|C)$/],
  ['fortran', /\.(?:f|for|ftn|f\d\d)$/i],
]

export const languages = Object.keys(wrappers) as readonly MpiLanguage[]

/** By the extension; undefined where it says none. */
export const languageOf = (source: string): MpiLanguage | undefined =>
  extensions.find(([, extension]) => extension.test(source))?.[0]

/** The compiler of the installation that mpirun is of. Throws `E_MPI_COMPILER`. */
export function findCompiler({ implementation, bin }: FoundMpi, language: MpiLanguage): string {
  const plain = wrappers[language]
  // Debian has several installations in one folder, told apart by these endings: mpirun's own goes first.
  const ending = { 'Open MPI': '.openmpi', MPICH: '.mpich' }[implementation.vendor]
  const names = [
    ...(ending ? plain.map((name) => name + ending) : []),
    ...(implementation.vendor === 'Intel MPI' ? intel[language] : []),
    ...plain,
  ]
  const found = names.map((name) => join(bin, name)).find(isProgram)
  if (found) return found
  throw new GangflowError({
    code: 'E_MPI_COMPILER',
    what: `${nameOf(implementation)} in ${bin} has no ${plain[0]}`,
    fix: fixFor(implementation, language),
  })
}

function fixFor({ vendor }: Implementation, language: MpiLanguage): string {
  const debian = vendor === 'MPICH' ? 'libmpich-dev' : 'libopenmpi-dev'
  const wheels = language === 'fortran' ? '; the wheels of the Python index have no Fortran compiler' : ''
  return `install its development package on the control (Debian: apt-get install ${debian})${wheels}`
}
