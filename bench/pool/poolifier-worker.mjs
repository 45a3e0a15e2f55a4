import { createRequire } from 'node:module'
import { functions } from './tasks.mjs'

const { ThreadWorker } = await import(
  createRequire(new URL('../.peers/', import.meta.url))
    .resolve('poolifier')
    .replace(/\.cjs$/, '.mjs')
)
export default new ThreadWorker(functions)
