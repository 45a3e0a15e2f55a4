// One backend of TensorFlow.js: does the task that it is told, and says how many milliseconds each time took.
import { createRequire } from 'node:module'
import { loadBackend } from '@gangflow/plugin-tfjs'
import { tasks } from './tasks.mjs'

const [name] = process.argv.slice(2)
console.warn = console.log = () => {}
const folder = new URL('../..', import.meta.url).pathname
/** What tfjs-backend-wasm has by itself, without the kernels of the plugin. */
async function stock() {
  const require = createRequire(new URL('../../packages/plugin-tfjs/package.json', import.meta.url))
  const [tf] = ['@tensorflow/tfjs', '@tensorflow/tfjs-backend-wasm'].map((name) => require(name))
  await tf.setBackend('wasm')
  return tf
}
const tf = name === 'stock' ? await stock() : await loadBackend(folder, name)
const prepared = {}

process.on('message', async ({ task, times }) => {
  try {
    prepared[task] ??= tasks[task].prepare(tf)
    const taken = []
    for (let i = 0; i < times; i++) {
      const begun = performance.now()
      await prepared[task]()
      taken.push(performance.now() - begun)
    }
    process.send({ taken })
  } catch (error) {
    process.send({ failed: String(error.message).split('\n')[0] })
  }
})
process.send({ ready: true })
