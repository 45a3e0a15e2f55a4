/** A function of the kernel, as its export's name, its number of i32 parameters, and its instructions. */
export interface Routine {
  readonly name: string
  readonly parameters: number
  /** Further i32 locals. */
  readonly locals: number
  readonly code: readonly number[]
}

/** An unsigned number as WebAssembly writes it. */
export function unsigned(value: number): number[] {
  const bytes: number[] = []
  do {
    const low = value & 0x7f
    value >>>= 7
    bytes.push(value === 0 ? low : low | 0x80)
  } while (value !== 0)
  return bytes
}

/** A signed one. */
export function signed(value: number): number[] {
  const bytes: number[] = []
  for (;;) {
    const low = value & 0x7f
    value >>= 7
    if ((value === 0 && (low & 0x40) === 0) || (value === -1 && (low & 0x40) !== 0)) return [...bytes, low]
    bytes.push(low | 0x80)
  }
}

const text = (value: string): number[] => [...unsigned(value.length), ...Buffer.from(value, 'ascii')]
const vector = (items: readonly number[][]): number[] => [...unsigned(items.length), ...items.flat()]
const section = (id: number, content: readonly number[]): number[] => [id, ...unsigned(content.length), ...content]

const I32 = 0x7f
const FUNCTION = 0x60
/** Limits of a memory that threads share: both ends are given. */
const SHARED = 0x03
const MOST_PAGES = 65_536

/** A module of routines that work in an imported shared memory `env.memory`: its bytes, for a `WebAssembly.Module`. */
export function assemble(routines: readonly Routine[]): Uint8Array<ArrayBuffer> {
  const types = routines.map(({ parameters }) => [FUNCTION, ...vector(Array(parameters).fill([I32])), 0])
  const memory = [...text('env'), ...text('memory'), 0x02, SHARED, ...unsigned(0), ...unsigned(MOST_PAGES)]
  const bodies = routines.map(({ locals, code }) => {
    const declared = locals === 0 ? [0] : [1, ...unsigned(locals), I32]
    const body = [...declared, ...code, 0x0b]
    return [...unsigned(body.length), ...body]
  })
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, vector(types)),
    ...section(2, vector([memory])),
    ...section(3, vector(routines.map((_, index) => unsigned(index)))),
    ...section(7, vector(routines.map(({ name }, index) => [...text(name), 0x00, ...unsigned(index)]))),
    ...section(10, vector(bodies)),
  ])
}
