import { createRequire } from 'node:module'
import { expect, it, onTestFinished } from 'vitest'
import { prepareNode } from '../../src/backends/shim.js'

it('gives tfjs-node the function that Node 23 took away', () => {
  const util = createRequire(import.meta.url)('node:util')
  const before = util.isNullOrUndefined
  onTestFinished(() => {
    util.isNullOrUndefined = before
  })
  delete util.isNullOrUndefined
  prepareNode()
  expect([null, undefined, 0, ''].map(util.isNullOrUndefined)).toEqual([true, true, false, false])
})
