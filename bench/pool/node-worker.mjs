// What piscina and tinypool run.
import { createRequire } from 'node:module'
import { firstOf } from './tasks.mjs'

export * from './tasks.mjs'

const { move } = createRequire(new URL('../.peers/', import.meta.url))('piscina')
export const firstOfMoved = (array) => move(firstOf(array))
