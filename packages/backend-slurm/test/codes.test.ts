import { expect, it } from 'vitest'
import { givenCodes, listedCodes } from '../../../tests/support/error-codes.js'
import { codes } from '../src/codes.js'

it('what the backend gives is what it registers and what docs/reference/errors.md lists', () => {
  const registered = Object.keys(codes).sort()
  expect(listedCodes('backend-slurm')).toEqual(registered)
  expect(givenCodes('backend-slurm')).toEqual(registered)
})
