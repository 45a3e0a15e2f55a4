import { expect, it } from 'vitest'
import { optionChecks } from '../../src/plugin/option-checks.js'

const { wrong, onlyKnown, duration, interpreter } = optionChecks({ code: 'E_MINE' })

it('names what was written, its value and what it may be', () => {
  expect(wrong('@mine', 'size', { a: 1 }, 'a number')).toMatchObject({
    code: 'E_MINE',
    message: expect.stringContaining('@mine: size is {"a":1}'),
    fix: 'give a number',
  })
  expect(wrong('@mine', 'size', 10n, 'a number').message).toContain('size is 10')
})

it('takes no other names, and no other things than objects', () => {
  expect(() => onlyKnown('@mine', { size: 1 }, ['size'])).not.toThrow()
  expect(() => onlyKnown('@mine', { sise: 1 }, ['size'])).toThrow("@mine has no option 'sise'")
  for (const given of [null, undefined, 3, ['size']])
    expect(() => onlyKnown('@mine', given, ['size'])).toThrow('its argument is')
})

it('reads durations and interpreters, and leaves out what was left out', () => {
  expect(duration('@mine', 'wait', '1m30s')).toBe(90_000)
  expect(duration('@mine', 'wait', undefined)).toBeUndefined()
  expect(() => duration('@mine', 'wait', 'soon')).toThrow('wait is "soon"')
  expect(interpreter('@mine', 'python', 'python3')).toEqual(['python3'])
  expect(interpreter('@mine', 'python', undefined)).toBeUndefined()
  for (const none of ['', [], ['python3', '']]) expect(() => interpreter('@mine', 'python', none)).toThrow('python is')
})
