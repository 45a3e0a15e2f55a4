const inputs = 64
const hidden = 96
const classes = 10

/** The classifier: 64 pixels, 96 rectified units, 10 digits; matrices row by row, as torch has them. */
export interface Weights {
  readonly hidden: Float32Array
  readonly hiddenBias: Float32Array
  readonly output: Float32Array
  readonly outputBias: Float32Array
}

/** The weights as train.py wrote them: float32, one after the other. */
export function readWeights(bytes: Uint8Array): Weights {
  // A copy of its own: a small file lies somewhere within a buffer that Node shares.
  const all = new Float32Array(new Uint8Array(bytes).buffer)
  const ends = [inputs * hidden, inputs * hidden + hidden, (inputs + 1) * hidden + hidden * classes]
  if (all.length !== ends[2]! + classes) throw new Error(`${all.length} weights are not this model's`)
  return {
    hidden: all.slice(0, ends[0]),
    hiddenBias: all.slice(ends[0], ends[1]),
    output: all.slice(ends[1], ends[2]),
    outputBias: all.slice(ends[2]),
  }
}

/** The share of digits that the classifier names rightly. */
export function accuracyOf(weights: Weights, digits: { pixels: Uint8Array; labels: Uint8Array }): number {
  const right = digits.labels.filter((label, row) => {
    const pixels = Float32Array.from(digits.pixels.subarray(row * inputs, (row + 1) * inputs), (value) => value / 16)
    const units = layer(pixels, weights.hidden, weights.hiddenBias).map((value) => Math.max(0, value))
    const scores = layer(units, weights.output, weights.outputBias)
    return scores.indexOf(Math.max(...scores)) === label
  })
  return right.length / digits.labels.length
}

function layer(values: Float32Array, matrix: Float32Array, bias: Float32Array): Float32Array {
  return bias.map((start, unit) =>
    values.reduce((sum, value, index) => sum + value * matrix[unit * values.length + index]!, start),
  )
}
