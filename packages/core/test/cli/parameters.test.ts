import { describe, expect, it } from 'vitest'
import { parameterWords } from '../../src/cli/parameters.js'
import { parse } from '../../src/cli/parser.js'

describe('parameterWords', () => {
  it('reads every way to write a parameter, as text', () => {
    expect(parameterWords(['--lr', '0.1', '--batch-size=32', '--fast', '--no-shuffle', '--shift', '-3'])).toEqual({
      lr: '0.1',
      'batch-size': '32',
      fast: 'true',
      shuffle: 'false',
      shift: '-3',
    })
  })

  it('keeps = in values and takes --param for names that are options of gangflow', () => {
    expect(parameterWords(['--filter=a=b'], ['tag=x=y'])).toEqual({ filter: 'a=b', tag: 'x=y' })
  })

  it.each([[['stray']], [['--a', '1', 'stray']], [['--']]])('refuses %j', (words) => {
    expect(() => parameterWords(words)).toThrowError(/neither an option nor a value/)
  })

  it('refuses a --param without a name', () => {
    expect(() => parameterWords([], ['=1'])).toThrowError(/not NAME=VALUE/)
  })
})

describe('parse', () => {
  it('tells options of gangflow from parameters of the flow', async () => {
    const { command, args, rest } = await parse(['run', 'flow.ts', '--lr', '0.1', '--tag', 'a', '--tag', 'b', '--fast'])
    expect(command.name).toBe('run')
    expect(args).toMatchObject({ flow: 'flow.ts', tag: ['a', 'b'] })
    expect(rest).toEqual(['--lr', '0.1', '--fast'])
  })

  it.each([
    [['fly'], /'fly' is no command.*the commands are: run, resume/s],
    [['run'], /Not enough non-option arguments/],
    [['show', 'f.ts', '--formt', 'x'], /Unknown argument/],
    [['show', 'f.ts', '--format', 'odd'], /Invalid values/],
  ])('refuses %j', async (words, message) => {
    await expect(parse(words)).rejects.toThrowError(message)
  })
})
