import { expect, it } from 'vitest'
import { givenCodes, listedCodes } from '../../../tests/support/error-codes.js'
import { codes } from '../src/errors/codes.js'

it('docs/reference/errors.md lists every registered code of core', () => {
  expect(listedCodes()).toEqual(expect.arrayContaining(Object.keys(codes)))
})

it('every code that core gives is registered', () => {
  expect(Object.keys(codes)).toEqual(expect.arrayContaining(givenCodes('core')))
})
