import { createRequire } from 'node:module'
import { functions } from './tasks.mjs'

const { Transfer, worker } = createRequire(new URL('../.peers/', import.meta.url))('workerpool')
const firstOfMoved = (array) => new Transfer(functions.firstOf(array), [array.buffer])
worker({ ...functions, firstOfMoved })
