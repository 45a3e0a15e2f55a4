import { describe, expect, it } from 'vitest'
import { programWords } from '../src/program.js'
import { scriptOf } from '../src/ready.js'
import { checkOptions, settle } from '../src/settings.js'

const refused = (message: RegExp) =>
  expect.objectContaining({ code: 'E_MPI_OPTION', message: expect.stringMatching(message) })

describe('a program as text', () => {
  it.each([
    ['python mpi_hello.py', ['python', 'mpi_hello.py']],
    ['  ./a.out  --name "two words" ', ['./a.out', '--name', 'two words']],
    [`sh -c 'echo "$HOME" | wc'`, ['sh', '-c', 'echo "$HOME" | wc']],
    ['a\\ b "c\\"d" e\\\\f ""', ['a b', 'c"d', 'e\\f', '']],
    ["x'y'z=~/a", ['xyz=~/a']],
    ['\tone\ntwo', ['one', 'two']],
  ])('%s', (text, words) => {
    expect(programWords('here', text)).toEqual(words)
  })

  it.each([
    'a | b',
    'a > b',
    'a && b',
    'echo $HOME',
    'echo "$HOME"',
    'ls *.c',
    '~/prog',
    'a `b`',
    "a 'b",
    'a "b',
    'a \\',
  ])('refuses %s, which needs a shell or is not closed', (text) => {
    expect(() => programWords('here', text)).toThrow(refused(/program/))
  })
})

describe('the options of a call', () => {
  const call = (more: object) => settle({}, 'mpirun', { program: 'a.out', ...more })

  it('takes the number of ranks out of args, however it is spelt', () => {
    for (const flag of ['-n', '-np', '--np'])
      expect(call({ args: [flag, '8', '--bind-to', 'core'] })).toMatchObject({ np: 8, args: ['--bind-to', 'core'] })
    expect(call({ args: ['-n', 8], np: 8 })).toMatchObject({ np: 8, args: [] })
    expect(call({})).toMatchObject({ np: undefined, args: [], oversubscribe: false, output: 'together' })
  })

  it('makes a program of its words, and leaves lists as they are', () => {
    expect(call({ program: 'python "a b.py"', programArgs: ['--lr', 0.1] }).program).toEqual([
      'python',
      'a b.py',
      '--lr',
      '0.1',
    ])
    expect(call({ program: ['a b', '$x'] }).program).toEqual(['a b', '$x'])
  })

  it('allows more ranks than slots by its own option, by the decorator, or by the launcher’s flag', () => {
    expect(call({ oversubscribe: true }).oversubscribe).toBe(true)
    expect(call({ args: ['--oversubscribe'] })).toMatchObject({ oversubscribe: true, args: [] })
    expect(settle({ oversubscribe: true }, 'mpiexec', { program: 'a' }).oversubscribe).toBe(true)
    expect(settle({ oversubscribe: true }, 'mpiexec', { program: 'a', oversubscribe: false }).oversubscribe).toBe(false)
  })

  it.each([
    [{ np: 0 }, /np is 0/],
    [{ np: 2.5 }, /np is 2\.5/],
    [{ args: ['-n', '4'], np: 8 }, /args -n/],
    [{ args: ['-n', 'x'] }, /np/],
    [{ args: 'a' }, /args is "a"/],
    [{ args: ['-n', '1', 'a', ':', 'b'] }, /args is ":"/],
    [{ program: '' }, /program is ""/],
    [{ program: [] }, /program/],
    [{ program: ['a\0b'] }, /program\[0\]/],
    [{ env: { 'A=B': 'x' } }, /env\.A=B/],
    [{ env: { A: 1 } }, /env\.A is 1/],
    [{ timeout: 'soon' }, /timeout is "soon"/],
    [{ stdin: 7 }, /stdin is 7/],
    [{ cwd: '' }, /cwd/],
    [{ output: 'file' }, /output/],
    [{ entrypoint: 'x' }, /has no option 'entrypoint'/],
  ])('refuses %j', (more, message) => {
    expect(() => call(more)).toThrow(refused(message))
  })

  it.each([[{ body: 'some' }], [{ home: 'opt' }], [{ python: '' }], [{ oversubscribe: 1 }], [{ np: 4 }]])(
    'refuses @mpi(%j)',
    (options) => {
      expect(() => checkOptions(options as never)).toThrow(refused(/@mpi/))
    },
  )
})

describe('the script of an interpreter', () => {
  it.each([
    [['python', 'a.py', 'b'], 'a.py'],
    [['/opt/bin/python3.12', 'a.py'], 'a.py'],
    [['python', '-m', 'mpi4py.futures', 'a.py'], 'a.py'],
    [['python', '-m', 'module'], undefined],
    [['python', '-c', 'print(1)'], undefined],
    [['./a.out', 'input.txt'], undefined],
    [['python'], undefined],
  ])('%j', (program, script) => {
    expect(scriptOf(program)).toBe(script)
  })
})
