import { expect, it } from 'vitest'
import { givenCodes, listedCodes } from '../../../tests/support/error-codes.js'
import { codes } from '../src/codes.js'

const registered = Object.keys(codes).sort()

it('docs/reference/errors.md lists what the plugin registers, and nothing else', () => {
  expect(listedCodes('plugin-deepspeed')).toEqual(registered)
})

it('the plugin gives what it registers, and nothing else', () => {
  expect(givenCodes('plugin-deepspeed')).toEqual(registered)
})
