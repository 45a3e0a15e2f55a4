// The same where memory is moved back: each library has a mark of its own for that.
import { createRequire } from 'node:module'
import { firstOf } from './tasks.mjs'

const peers = createRequire(new URL('../.peers/', import.meta.url))
const { default: Tinypool } = await import(peers.resolve('tinypool').replace(/\.cjs$/, '.js'))
const { move } = peers('piscina')

export const piscina = (array) => move(firstOf(array))
export const tinypool = (array) => Tinypool.move(firstOf(array))
