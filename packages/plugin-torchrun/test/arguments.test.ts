import { execFileSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { words } from '../src/arguments.js'

/** What a program of the words gets. */
const received = (args: string[]): string[] =>
  JSON.parse(
    execFileSync(process.execPath, ['-e', 'console.log(JSON.stringify(process.argv.slice(1)))', '--', ...args], {
      encoding: 'utf8',
    }),
  )

describe('words', () => {
  it('passes a list through exactly', () => {
    const list = ['--lr', 0.1, '', 'a b', '"quoted"', "it's", '{"a": [1, "x"]}', '$HOME', '*', 'ü\n', '--lr', '0.2', -1]
    expect(words(list, 'args')).toEqual(list.map(String))
    expect(received(words(list, 'args'))).toEqual(list.map(String))
  })

  it('makes flags of an object', () => {
    const given = {
      epochs: 3,
      verbose: true,
      quiet: false,
      seed: undefined,
      name: '',
      tag: ['a', 'b c'],
      config: { lr: 0.1, names: ['x "y"'] },
      offset: -1,
      pattern: '--x',
      '-k': 'v',
      hold_out: 2,
    }
    expect(words(given, 'args')).toEqual(
      [
        ['--epochs', '3', '--verbose', '--name', '', '--tag', 'a', '--tag', 'b c'],
        ['--config', '{"lr":0.1,"names":["x \\"y\\""]}', '--offset=-1', '--pattern=--x', '-k', 'v', '--hold_out', '2'],
      ].flat(),
    )
  })

  it('has nothing for nothing', () => {
    expect(words(undefined, 'args')).toEqual([])
    expect(words({}, 'args')).toEqual([])
  })

  it.each([
    [['a', Number.NaN], 'args[1]'],
    [[true], 'args[0]'],
    [['a\0b'], 'args[0]'],
    ['--lr 0.1', 'args'],
    [{ lr: Number.POSITIVE_INFINITY }, 'args.lr'],
    [{ f: () => 1 }, 'args.f'],
    [{ tags: ['a', {}] }, 'args.tags[1]'],
  ])('refuses %j by name', (given, place) => {
    expect(() => words(given as never, 'args')).toThrow(
      expect.objectContaining({ code: 'E_TORCH_OPTION', what: expect.stringContaining(place) }),
    )
  })
})
