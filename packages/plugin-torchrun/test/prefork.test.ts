import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pythonWithTorch } from '../../../scripts/python-env.mjs'
import { fixtures } from './call.js'

const tools = new URL('../py', import.meta.url).pathname
const env = { ...process.env, PYTHONPATH: `${tools}/hook`, OMP_NUM_THREADS: '1' }
const directory = mkdtempSync(join(tmpdir(), 'gf-prefork-'))
let python: string
let parent: ChildProcess

beforeAll(async () => {
  python = await pythonWithTorch()
  parent = spawn(python, ['-u', `${tools}/prefork.py`, directory], { cwd: fixtures, env, stdio: 'inherit' })
  while (!existsSync(`${directory}/prefork.sock`)) await sleep(10)
}, 600_000)
afterAll(() => {
  parent.kill('SIGKILL')
  rmSync(directory, { recursive: true })
})

interface End {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

function ending(child: ChildProcess): Promise<End> {
  const output = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const) child[stream]!.on('data', (data) => (output[stream] += data))
  return new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal, ...output })))
}

const rank = (extra: Record<string, string> = {}) => ({
  ...env,
  LOCAL_RANK: '0',
  RANK: '0',
  GANGFLOW_TORCH_RANK: 'timeout=60',
  TORCHELASTIC_ERROR_FILE: `${directory}/error.json`,
  ...extra,
})
const options = (extra?: Record<string, string>, cwd = fixtures) => ({
  cwd,
  env: rank(extra),
  stdio: ['ignore', 'pipe', 'pipe'] as ['ignore', 'pipe', 'pipe'],
})

const forking = (words: readonly string[], extra?: Record<string, string>, before: readonly string[] = ['-u']) =>
  spawn(python, ['-I', '-S', `${tools}/relay.py`, 'fork', directory, python, ...before, '--', ...words], options(extra))
const forked = (...given: Parameters<typeof forking>) => ending(forking(...given))
const direct = (words: readonly string[], extra?: Record<string, string>) =>
  ending(spawn(python, ['-u', ...words], options(extra)))

describe('a forked rank', () => {
  it.each([
    ['what the script sees of itself', ['traps.py', 'self', 'a b', '', '{"x": 1}']],
    ['multiprocessing by spawn', ['traps.py', 'spawn']],
    ['multiprocessing by fork', ['traps.py', 'fork']],
    ['pickles of what __main__ defines', ['traps.py', 'pickle']],
    ['atexit handlers and the exit code', ['traps.py', 'atexit']],
    ['sys.exit with a message', ['traps.py', 'message']],
    ['an exception', ['traps.py', 'raise']],
    ['an exception with its cause', ['traps.py', 'cause']],
    ['a syntax error', ['broken_syntax.py']],
    ['a missing script', ['absent.py']],
    ['a module', ['-m', 'package_of_test.entry', 'x']],
    ['a missing module', ['-m', 'package_of_test.absent']],
    ['a folder with __main__.py', ['package_of_test', 'y']],
    ['threads that outlive main', ['traps.py', 'thread']],
    ['os._exit', ['traps.py', 'hard']],
    ['abort', ['traps.py', 'abort']],
    ['a killed process', ['traps.py', 'kill']],
    ['KeyboardInterrupt', ['traps.py', 'interrupt']],
    ['unflushed output and large writes', ['traps.py', 'flood']],
    ['standard input', ['traps.py', 'stdin']],
  ])('behaves as one that Python started: %s', async (_, words) => {
    const [one, other] = await Promise.all([forked(words), direct(words)])
    expect(tidy(one)).toEqual(tidy(other))
  })

  it.each([
    ['on', 'True'],
    ['off', 'False'],
  ])('collects garbage as the script says (%s), whoever imports torch', async (wanted, said) => {
    for (const { stdout, stderr } of await Promise.all(
      [forked, direct].map((start) => start(['traps.py', 'gc', wanted])),
    ))
      expect([stdout.split(' ')[0], stderr]).toEqual([said, ''])
  })

  it('leaves its exception in the error file', async () => {
    rmSync(`${directory}/error.json`, { force: true })
    await forked(['traps.py', 'raise'])
    const { message } = JSON.parse(readFileSync(`${directory}/error.json`, 'utf8')).message
    expect(message).toBe('ValueError: from the script')
  })

  it('has its own session, and different random numbers from its siblings', async () => {
    const [a, b] = await Promise.all([forked(['traps.py', 'random']), forked(['traps.py', 'random'])])
    expect(a.stdout).toContain('leads its session')
    expect(a.stdout).not.toBe(b.stdout)
  })

  it('gets the signals that its place below the keeper gets, and goes with it', async () => {
    const child = forking(['traps.py', 'signal'])
    const end = ending(child)
    await line(child, 'ready\n')
    child.kill('SIGTERM')
    expect(await end).toMatchObject({ code: 5, stdout: 'ready\nTERM\n' })

    const killed = forking(['traps.py', 'signal'])
    const pid = Number(/\d+/.exec(await line(killed, 'ready', true))![0])
    killed.kill('SIGKILL')
    while (isAlive(pid)) await sleep(10)
  })

  it.each([
    ['an environment that is read at start', { MKL_NUM_THREADS: '2' }, ['-u'], /its MKL_NUM_THREADS differs/],
    ['Python options', {}, ['-u', '-O'], /its Python options are \['-u', '-O'\]/],
  ])('is not forked, but started directly, with other %s', async (_, extra, before, why) => {
    const end = await forked(['traps.py', 'where'], extra, before)
    expect(end.stderr).toMatch(why)
    expect(end).toMatchObject({ code: 0, stdout: 'fresh\n' })
  })

  it('is forked where nothing differs', async () => {
    expect(await forked(['traps.py', 'where'], { MASTER_PORT: '1', CUDA_VISIBLE_DEVICES: '3' })).toMatchObject({
      stdout: 'forked\n',
      stderr: '',
    })
  })

  it('says when the script sets what torch has read already', async () => {
    const { stderr } = await forked(['traps.py', 'late'])
    expect(stderr).toBe(
      "[gangflow] the script sets OMP_NUM_THREADS, but launcher 'prefork' imported torch before: give it in `env`, or use launcher 'direct'\n",
    )
  })

  it('dies with its parent', async () => {
    const child = forking(['traps.py', 'signal'])
    const end = ending(child)
    const pid = Number(/\d+/.exec(await line(child, 'ready', true))![0])
    parent.kill('SIGKILL')
    expect(await end).toMatchObject({ signal: 'SIGKILL', stderr: expect.stringContaining('the prefork parent ended') })
    while (isAlive(pid)) await sleep(10)
  })

  it('is started directly where there is no parent', async () => {
    expect(await forked(['traps.py', 'where'])).toMatchObject({
      code: 0,
      stdout: 'fresh\n',
      stderr: expect.stringContaining('started directly'),
    })
  })
})

/** Without what may differ: addresses, and the frames and modules below the script's in a dump of faulthandler. */
const tidy = ({ stderr, stdout, ...end }: End) => ({
  ...end,
  stdout: stdout.replaceAll(/0x[0-9a-f]+/g, '0x'),
  stderr: stderr.replaceAll(/0x[0-9a-f]+/g, '0x').replace(/\nCurrent thread[\s\S]*/, ''),
})

function line(child: ChildProcess, text: string, isWithPid = false): Promise<string> {
  let seen = ''
  return new Promise((resolve) => {
    child[isWithPid ? 'stderr' : 'stdout']!.on('data', (data) => {
      seen += data
      if (isWithPid ? /pid \d+\n/.test(seen) : seen.includes(text)) resolve(seen)
    })
  })
}

function isAlive(pid: number): boolean {
  try {
    // A zombie has ended, though nobody has asked for its status yet.
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}
