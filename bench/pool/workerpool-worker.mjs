import { createRequire } from 'node:module'
import { functions } from './tasks.mjs'

createRequire(new URL('../.peers/', import.meta.url))('workerpool').worker(functions)
