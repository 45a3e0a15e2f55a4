import { createRequire } from 'node:module'
import { GangflowError } from '@gangflow/core'
import type { ArtifactCodec } from '@gangflow/core/plugin'
import type { LayersModel } from '@tensorflow/tfjs'
import { findPackages } from '../backends/packages.js'
import { prepareNode, withoutAdvice } from '../backends/shim.js'
import type { Tf } from '../backends/tf.js'

interface Head {
  readonly version: 1
  readonly kind: 'Sequential' | 'Model'
  readonly config: object
  readonly weights: readonly { readonly shape: readonly number[]; readonly dtype: 'float32' | 'int32' | 'bool' }[]
}

/** Bytes of the number before the head. */
const PREFIX = 4

/**
 * A LayersModel as an artifact: its layers as JSON, then its weights one after the other. It is read as an uncompiled
 * model on the default backend: TensorFlow.js is loaded when it is read.
 */
export const modelCodec: ArtifactCodec<LayersModel> = {
  name: 'tfjs-model',
  matches: isModel,
  async encode(model) {
    const weights = model.getWeights()
    const head: Head = {
      version: 1,
      kind: model.getClassName() === 'Sequential' ? 'Sequential' : 'Model',
      config: model.getConfig() as object,
      weights: weights.map(({ shape, dtype }) => ({ shape, dtype: dtype as 'float32' })),
    }
    const json = Buffer.from(JSON.stringify(head))
    // The values begin where an array of numbers can.
    const padded = Buffer.concat([json, Buffer.alloc((4 - (json.length % 4)) % 4, ' ')])
    const prefix = Buffer.alloc(PREFIX)
    prefix.writeUInt32LE(padded.length)
    const values = await Promise.all(weights.map((weight) => weight.data()))
    return Buffer.concat([
      prefix,
      padded,
      ...values.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength)),
    ])
  },
  decode(bytes) {
    const whole = Buffer.from(bytes)
    const end = PREFIX + whole.readUInt32LE(0)
    const head = JSON.parse(whole.toString('utf8', PREFIX, end)) as Head
    if (head.version !== 1)
      throw new GangflowError({
        code: 'E_TF_MODEL_FORMAT',
        what: `the model was saved in format ${head.version}; this version reads format 1`,
        fix: 'install the version of @gangflow/plugin-tfjs that saved it',
      })
    const tf = loaded()
    const model = made(tf, head)
    let at = end
    const weights = head.weights.map(({ shape, dtype }) => {
      const count = shape.reduce((product, length) => product * length, 1)
      const length = count * (dtype === 'bool' ? 1 : 4)
      const own = Uint8Array.from(whole.subarray(at, at + length)).buffer
      at += length
      const values =
        dtype === 'bool' ? new Uint8Array(own) : dtype === 'int32' ? new Int32Array(own) : new Float32Array(own)
      return tf.tensor(values, [...shape], dtype)
    })
    model.setWeights(weights)
    tf.dispose(weights)
    return model
  },
}

/** Told without loading TensorFlow.js, by what every LayersModel has. */
function isModel(value: unknown): value is LayersModel {
  if (typeof value !== 'object' || value === null) return false
  const model = value as Partial<Record<keyof LayersModel, unknown>>
  return (['getWeights', 'setWeights', 'getConfig', 'predict', 'fit', 'fitDataset'] as const).every(
    (name) => typeof model[name] === 'function',
  )
}

function made(tf: Tf, { kind, config }: Head): LayersModel {
  type Class = { fromConfig(cls: unknown, config: object): LayersModel }
  const Class = (kind === 'Sequential' ? tf.Sequential : tf.LayersModel) as unknown as Class
  return Class.fromConfig(Class, config)
}

/** The copy that the program in the current folder has; a backend where none was chosen. */
function loaded(): Tf {
  prepareNode()
  const { tfjs } = findPackages(process.cwd(), 'cpu')
  const tf = createRequire(tfjs)(tfjs) as Tf
  if (tf.getBackend()) return tf
  void tf.setBackend('cpu')
  withoutAdvice(tf)
  return tf
}
