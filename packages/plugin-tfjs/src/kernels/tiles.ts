import {
  advance,
  type Code,
  type Func,
  f32,
  f32x4,
  func,
  get,
  i32,
  type Lanes,
  repeat,
  set,
  shuffle,
  when,
} from './wasm-code.js'

/**
 * What a tile does at each position, for its rows `m` and columns `n`:
 * `outer` c[m][n] += a[m] * b[n]; `each` c[m][n] += a[m][n] * b[n]; `spread` a[m][n] += c[m][n] * b[n].
 */
export type Kind = 'outer' | 'each' | 'spread'

/** Rows of the tallest tile: its sums stay in registers. */
export const tallest = 4

interface Width {
  floats: number
  lanes: Lanes
  across: number
}

/** The widths of tiles in floats, widest first, and what they are made of. */
export const widths: readonly Width[] = [
  { floats: 8, lanes: f32x4, across: 2 },
  { floats: 4, lanes: f32x4, across: 1 },
  { floats: 1, lanes: f32, across: 1 },
]

export const tileName = (kind: Kind, rows: number, floats: number): string => `${kind}${rows}x${floats}`

/** Strides are bytes, `0` to `2` loops with the outermost first, counts `n0` to `n2` at least 1. */
const tileParams = ['a', 'aRow', 'a0', 'a1', 'a2', 'b', 'b0', 'b1', 'b2', 'c', 'cRow', 'n0', 'n1', 'n2'] as const

function tile(kind: Kind, rows: number, { floats, lanes, across }: Width): Func {
  return func(tileName(kind, rows, floats), tileParams, (p, locals) => {
    const indices = (count: number) => Array.from({ length: count }, (_, index) => index)
    const columns = indices(across).map((n) => ({ b: locals.of(lanes), offset: n * lanes.bytes }))
    const tall = indices(rows).map((m) => ({ m, offset: locals.i32(), held: columns.map(() => locals.of(lanes)) }))
    const cells = tall.map(({ offset, held }) =>
      columns.map((column, n) => ({ ...column, row: offset, c: held[n] ?? 0 })),
    )
    const [spreadA, a1, b1, a2, b2] = [locals.of(lanes), locals.i32(), locals.i32(), locals.i32(), locals.i32()]
    const [i0, i1, i2, cAt] = [locals.i32(), locals.i32(), locals.i32(), locals.i32()]
    type Cell = (typeof cells)[number][number]
    const aAt = ({ row }: { row: number }) => i32.add(get(a2), get(row))
    const aOf = (cell: Cell) => lanes.load(aAt(cell), cell.offset)
    const sum = ({ c }: Cell, by: Code) => set(c, lanes.add(get(c), by))
    const work: Record<Kind, (row: Cell[]) => Code> = {
      outer: (row) => [
        row.slice(0, 1).map((cell) => set(spreadA, lanes.spread(aAt(cell)))),
        row.map((cell) => sum(cell, lanes.mul(get(spreadA), get(cell.b)))),
      ],
      each: (row) => row.map((cell) => sum(cell, lanes.mul(aOf(cell), get(cell.b)))),
      spread: (row) =>
        row.map((cell) =>
          lanes.store(aAt(cell), lanes.add(aOf(cell), lanes.mul(get(cell.c), get(cell.b))), cell.offset),
        ),
    }
    const overC = (of: (cell: Cell, address: Code) => Code): Code => [
      set(cAt, get(p.c)),
      cells.map((row) => [row.map((cell) => of(cell, get(cAt))), advance(cAt, get(p.cRow))]),
    ]
    const inner = repeat(i2, get(p.n2), [
      columns.map(({ b, offset }) => set(b, lanes.load(get(b2), offset))),
      cells.map(work[kind]),
      [advance(a2, get(p.a2)), advance(b2, get(p.b2))],
    ])
    const middle = repeat(i1, get(p.n1), [
      [set(a2, get(a1)), set(b2, get(b1)), inner],
      [advance(a1, get(p.a1)), advance(b1, get(p.b1))],
    ])
    const all = repeat(i0, get(p.n0), [
      [set(a1, get(p.a)), set(b1, get(p.b)), middle],
      [advance(p.a, get(p.a0)), advance(p.b, get(p.b0))],
    ])
    const load = overC(({ c, offset }, address) => set(c, lanes.load(address, offset)))
    const add = overC(({ c, offset }, address) =>
      lanes.store(address, lanes.add(lanes.load(address, offset), get(c)), offset),
    )
    return [
      tall.map(({ m, offset }) => set(offset, i32.mul(i32.const(m), get(p.aRow)))),
      kind === 'spread' ? [load, all] : [all, add],
    ]
  })
}

/**
 * Adds each row of x to the row of `out` that its id names, and passes over ids that name none. A row is so many
 * `vectors` of four floats and so many `floats` more.
 */
const segments = func('segments', ['ids', 'count', 'x', 'out', 'number', 'vectors', 'floats'], (p, locals) => {
  const [i, j, id, to, bytes] = [locals.i32(), locals.i32(), locals.i32(), locals.i32(), locals.i32()]
  const from = locals.i32()
  const some = (lanes: Lanes, times: number) =>
    when(
      get(times),
      repeat(j, get(times), [
        lanes.store(get(to), lanes.add(lanes.load(get(to)), lanes.load(get(from)))),
        [advance(to, i32.const(lanes.bytes)), advance(from, i32.const(lanes.bytes))],
      ]),
    )
  return [
    set(bytes, i32.add(i32.mul(get(p.vectors), i32.const(16)), i32.mul(get(p.floats), i32.const(4)))),
    repeat(i, get(p.count), [
      set(id, i32.load(get(p.ids))),
      when(i32.below(get(id), get(p.number)), [
        [set(to, i32.add(get(p.out), i32.mul(get(id), get(bytes)))), set(from, get(p.x))],
        [some(f32x4, p.vectors), some(f32, p.floats)],
      ]),
      [advance(p.ids, i32.const(4)), advance(p.x, get(bytes))],
    ]),
  ]
})

/** Turns four columns of x into four rows of `out`, four rows of x at a time, so many times. */
const turn = func('turn', ['x', 'xRow', 'out', 'outRow', 'times'], (p, locals) => {
  const [from, to, i] = [locals.i32(), locals.i32(), locals.i32()]
  const four = () => Array.from({ length: 4 }, () => locals.of(f32x4)) as [number, number, number, number]
  const [a, b, c, d] = four()
  const [ab, abAfter, cd, cdAfter] = four()
  const down = (row: number, by: number) => i32.add(get(row), get(by))
  const low = [0, 1, 4, 5]
  const high = [2, 3, 6, 7]
  const rows = [shuffle(get(ab), get(cd), low), shuffle(get(ab), get(cd), high)]
  const rowsAfter = [shuffle(get(abAfter), get(cdAfter), low), shuffle(get(abAfter), get(cdAfter), high)]
  return repeat(i, get(p.times), [
    set(from, get(p.x)),
    [a, b, c, d].map((row) => [set(row, f32x4.load(get(from))), set(from, down(from, p.xRow))]),
    set(p.x, get(from)),
    [set(ab, shuffle(get(a), get(b), [0, 4, 1, 5])), set(abAfter, shuffle(get(a), get(b), [2, 6, 3, 7]))],
    [set(cd, shuffle(get(c), get(d), [0, 4, 1, 5])), set(cdAfter, shuffle(get(c), get(d), [2, 6, 3, 7]))],
    set(to, get(p.out)),
    [...rows, ...rowsAfter].map((row) => [f32x4.store(get(to), row), set(to, down(to, p.outRow))]),
    advance(p.out, i32.const(16)),
  ])
})

const kinds: readonly Kind[] = ['outer', 'each', 'spread']

/** Every function of the kernels. */
export const functions = (): Func[] => [
  ...kinds.flatMap((kind) =>
    widths.flatMap((width) => Array.from({ length: tallest }, (_, m) => tile(kind, m + 1, width))),
  ),
  segments,
  turn,
]
