/** Reads and makes records of one shape. */
export interface Shape {
  /** Puts a record's values into row `row` of the columns. */
  readonly read: (record: Record<string, unknown>, row: number, columns: readonly unknown[][]) => void
  readonly make: (row: number, columns: readonly (readonly unknown[])[]) => Record<string, unknown>
}

const shapes = new Map<string, Shape>()
/** More would be a sign of keys that are data. */
const mostShapes = 200

/** As code of its own for each shape, which is ten times as fast as a loop over the keys. */
export function shapeOf(keys: readonly string[]): Shape {
  const name = JSON.stringify(keys)
  const known = shapes.get(name)
  if (known) return known
  if (shapes.size >= mostShapes) shapes.clear()
  const shape = compile(keys) ?? loop(keys)
  shapes.set(name, shape)
  return shape
}

function compile(keys: readonly string[]): Shape | undefined {
  const texts = keys.map((key) => JSON.stringify(key))
  try {
    const read = texts.map((key, column) => `c[${column}][i]=r[${key}]`).join(';')
    const make = texts.map((key, column) => `${key}:c[${column}][i]`).join(',')
    return {
      read: new Function('r', 'i', 'c', read),
      make: new Function('i', 'c', `return {${make}}`),
    } as unknown as Shape
  } catch {
    // Making code of text can be forbidden.
    return undefined
  }
}

function loop(keys: readonly string[]): Shape {
  return {
    read: (record, row, columns) => {
      for (const [column, key] of keys.entries()) columns[column]![row] = record[key]
    },
    make: (row, columns) => Object.fromEntries(keys.map((key, column) => [key, columns[column]![row]])),
  }
}
