import { createRequire } from 'node:module'
import { GangflowError, messageOf } from '@gangflow/core'
import type { Kind } from './shape.js'

/** What is used of koffi. */
type Call = (...values: unknown[]) => number
interface Library {
  func(declaration: string): Call
  symbol(name: string, type: string): bigint
}
interface Koffi {
  load(path: string): Library
}

type Handle = bigint | number

/** An MPI that this process was started under, by foreign calls. */
export interface Mpi {
  readonly world: Handle
  readonly kinds: Readonly<Record<Kind, Handle>>
  readonly reductions: Readonly<Record<'sum' | 'max' | 'min', Handle>>
  readonly inPlace: bigint
  /** Calls `MPI_NAME`; throws `E_TF_MPI` where it does not give 0. */
  call(name: keyof typeof declarations, ...values: unknown[]): void
}

/** `H` is the type of a handle. */
const declarations = {
  Init: '(void *, void *)',
  Initialized: '(void *)',
  Finalize: '()',
  Comm_rank: '(H, void *)',
  Comm_size: '(H, void *)',
  Allgather: '(void *, int, H, void *, int, H, H)',
  // Also in place, where the first is no array but a number.
  AllgatherInPlace: '(intptr_t, int, H, void *, int, H, H)',
  Allreduce: '(intptr_t, void *, int, H, H, H)',
  Reduce_scatter: '(intptr_t, void *, void *, H, H, H)',
  Bcast: '(void *, int, H, int, H)',
} as const

export const mpiError = (what: string, fix: string, cause?: unknown): GangflowError =>
  new GangflowError({ code: 'E_TF_MPI', what, fix }, cause === undefined ? {} : { cause })

/** How Open MPI names things: by the addresses of its own objects. */
const openMpi = (library: Library) => {
  const at = (name: string) => library.symbol(`ompi_mpi_${name}`, 'int')
  return {
    world: at('comm_world'),
    kinds: { float32: at('float'), float64: at('double'), int32: at('int'), uint8: at('byte') },
    reductions: { sum: at('op_sum'), max: at('op_max'), min: at('op_min') },
    inPlace: 1n,
    handle: 'intptr_t',
  }
}

/** By numbers: the ABI that MPICH, Intel MPI and MVAPICH share. */
const mpich = () => ({
  world: 0x44000000,
  kinds: { float32: 0x4c00040a, float64: 0x4c00080b, int32: 0x4c000405, uint8: 0x4c00010d },
  reductions: { sum: 0x58000003, max: 0x58000001, min: 0x58000002 },
  inPlace: -1n,
  handle: 'int',
})

/** Loads the MPI whose launcher started this process; the one that `GANGFLOW_MPI_LIBRARY` names, where it is set. */
export function loadMpi(env: NodeJS.ProcessEnv): Mpi {
  const isOpenMpi = env['OMPI_COMM_WORLD_SIZE'] !== undefined
  if (!isOpenMpi && env['PMI_SIZE'] === undefined)
    throw mpiError(
      'this process was not started by mpirun: neither OMPI_COMM_WORLD_SIZE nor PMI_SIZE is set',
      'start it by `current.mpi.exec` or mpirun, or use `collectives(current)`',
    )
  const usual = isOpenMpi
    ? ['libmpi.so.40', 'libmpi.so.80', 'libmpi.so']
    : ['libmpich.so.12', 'libmpi.so.12', 'libmpi.so']
  const library = load(env['GANGFLOW_MPI_LIBRARY'] ? [env['GANGFLOW_MPI_LIBRARY']] : usual)
  const { handle, ...names } = isOpenMpi ? openMpi(library) : mpich()
  const calls = new Map<string, Call>()
  return {
    ...names,
    call(name, ...values) {
      const real = name.replace('InPlace', '')
      const call = calls.get(name) ?? library.func(`int MPI_${real}${declarations[name].replaceAll('H', handle)}`)
      calls.set(name, call)
      const answer = call(...values)
      if (answer !== 0) throw mpiError(`MPI_${real} failed with ${answer}`, "see mpirun's output")
    },
  }
}

function load(names: readonly string[]): Library {
  let koffi: Koffi
  try {
    koffi = createRequire(import.meta.url)('koffi') as Koffi
  } catch (cause) {
    throw mpiError('koffi, by which MPI is called, is not installed', 'npm install koffi', cause)
  }
  let last: unknown
  for (const name of names) {
    try {
      return koffi.load(name)
    } catch (cause) {
      last = cause
    }
  }
  throw mpiError(
    `there is no library of MPI: ${messageOf(last)}`,
    'install the MPI that started this process, or name its libmpi by GANGFLOW_MPI_LIBRARY',
    last,
  )
}
