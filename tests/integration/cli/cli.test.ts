import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'

const bin = new URL('../../../packages/core/dist/cli.cjs', import.meta.url).pathname
const flow = new URL('./digits.flow.ts', import.meta.url).pathname
const broken = new URL('./broken.flow.ts', import.meta.url).pathname
const folder = mkdtempSync(join(tmpdir(), 'gangflow-cli-'))
const store = join(folder, 'store')
afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }))

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Starts the built command; `act` is told each piece of output. */
function gangflow(
  words: string[],
  act?: (text: string, kill: (signal: NodeJS.Signals) => void) => void,
): Promise<Ended> {
  const child = spawn(process.execPath, [bin, ...words, '--datastore', store], {
    env: { ...process.env, NO_COLOR: '1', CI: '' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const text = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (data: string) => {
      text[name] += data
      act?.(text.stdout + text.stderr, (signal) => child.kill(signal))
    })
  }
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, ...text })))
}

/** Processes whose environment carries this test's datastore, the command itself aside. */
function left(): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(store)
    } catch {
      return false
    }
  })
}

describe('gangflow', () => {
  it('runs a flow, and what it left can be read back', async () => {
    const ran = await gangflow(['run', flow, '--count', '4', '--tag', 'first'])
    expect(ran.stderr).toBe('')
    expect(ran.code).toBe(0)
    expect(ran.stdout).toMatch(/start\/1 │ squaring 1, 2, 3, 4/)
    expect(ran.stdout).toMatch(/end\/1 │ result 30/)
    expect(ran.stdout).toMatch(/Digits\/\d+ done in/)

    const runs = JSON.parse((await gangflow(['runs', '--json', '--tag', 'first'])).stdout) as {
      run: string
      status: string
    }[]
    expect(runs).toMatchObject([{ flow: 'Digits', status: 'done', tags: ['first'] }])
    const { run } = runs[0]!
    expect((await gangflow(['artifacts', run, 'result', '--json'])).stdout).toBe('30\n')
    expect((await gangflow(['artifacts', `Digits/latest/squared/3`, 'square'])).stdout).toBe('9\n')
    expect((await gangflow(['logs', `${run}/start`, '--no-prefix'])).stdout).toBe('squaring 1, 2, 3, 4\n')
    const all = await gangflow(['logs', run])
    expect(all.stdout).toMatch(/start\/1 │ squaring[^\n]*\nend\/1 │ result 30\n/)
  })

  it('speaks JSON, one event a line, the last one the end', async () => {
    const { stdout, code } = await gangflow(['run', flow, '--mode=max', '--use-gpu', '--json'])
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; result?: { status: string } })
    expect(stdout).toMatch(/result 9 on a GPU/)
    expect(events[0]?.type).toBe('run-started')
    expect(events.at(-1)).toMatchObject({ type: 'run-ended', result: { status: 'done' } })
    expect(code).toBe(0)
  })

  it.each([
    [['run', flow, '--cuont', '4'], /cuont.*count/s],
    [['run', flow, '--count', 'many'], /count.*number/s],
    [['run', flow, '--mode', 'mean'], /sum.*max/s],
    [['run', flow, '--max-workers', '0'], /--max-workers takes a whole number/],
    [['run', 'no-such-flow.ts'], /no-such-flow\.ts/],
    [['run', flow, '--backend', 'moon'], /no backend 'moon'/],
    [['frobnicate'], /'frobnicate' is no command/],
    [['run', broken], /broken\.flow\.ts/],
  ])('refuses %j before anything starts', async (words, message) => {
    const { code, stdout, stderr } = await gangflow(words)
    expect(stdout).not.toMatch(/started/)
    expect(stderr).toMatch(message)
    expect(stderr).toMatch(/fix /)
    expect(code).toBe(2)
  })

  it('checks a flow: every complaint with its place and fix', async () => {
    const { code, stdout } = await gangflow(['check', broken])
    expect(stdout).toMatch(/at .*broken\.flow\.ts:\d+/)
    expect(stdout).toMatch(/fix /)
    expect(code).toBe(2)
    expect(await gangflow(['check', flow])).toMatchObject({ code: 0, stdout: 'ok Digits: 5 steps\n' })
  })

  it('shows the graph as text and Mermaid, and parameters in the help', async () => {
    expect((await gangflow(['show', flow])).stdout).toMatch(/start\n\s+→ squared \(each of numbers\)/)
    expect((await gangflow(['show', flow, '--format', 'mermaid'])).stdout).toMatch(
      /step_start -->\|"each of numbers"\| step_squared/,
    )
    expect((await gangflow(['run', flow, '--help'])).stdout).toMatch(/--count number\s+how many numbers/)
  })

  it('shows what would be started, and completes words', async () => {
    const { stdout } = await gangflow(['run', flow, '--dry-run'])
    expect(stdout).toMatch(/^squared task\n {2}request .*body/m)
    expect(stdout).not.toMatch(/started/)
    const complete = (...typed: string[]) =>
      execFileSync(process.execPath, [bin, '--get-yargs-completions', 'gangflow', ...typed], { encoding: 'utf8' })
    expect(complete('ru')).toBe('run\nruns\n')
    expect(complete('run', flow, '--da')).toBe('--datastore\n')
    expect(execFileSync(process.execPath, [bin, 'completion'], { encoding: 'utf8' })).toMatch(/gangflow/)
  })

  it("says what failed with the person's own place, and resumes when it is mended", async () => {
    const gate = join(folder, 'gate')
    const failed = await gangflow(['run', flow, '--gate', gate])
    expect(failed.code).toBe(1)
    expect(failed.stdout).toMatch(/the gate .* is shut/)
    expect(failed.stdout).toMatch(/digits\.flow\.ts:\d+/)
    writeFileSync(gate, '')
    const resumed = await gangflow(['resume', flow])
    expect(resumed.code).toBe(0)
    expect(resumed.stdout).toMatch(/squared\/2 reused from run/)
    expect(resumed.stdout).not.toMatch(/start\/1 started/)
    expect(resumed.stdout).toMatch(/end\/1 │ result 14/)
  })

  it('stops on Ctrl-C, says so, and leaves nothing', async () => {
    let sent = false
    const { code, stdout, stderr } = await gangflow(['run', flow, '--nap', '60000'], (text, kill) => {
      if (sent || !/squared\/1 started/.test(text)) return
      sent = true
      kill('SIGINT')
    })
    expect(stderr).toMatch(/Ctrl-C: stopping/)
    expect(stdout).toMatch(/cancelled in/)
    expect(code).toBe(130)
    expect(left()).toEqual([])
  })

  it('ends in order when nobody reads its output any more', () => {
    const words = `set -o pipefail; "${process.execPath}" "${bin}"`
    const ends = (command: string) =>
      spawnSync('bash', ['-c', command], { env: { ...process.env, GANGFLOW_DATASTORE: store }, encoding: 'utf8' })
    // The flow prints on after its first line, so that the reader's end is met in any case.
    const ran = ends(`${words} run ${flow} --nap 300 --tag unread | head -1`)
    expect(ran.stderr).toMatch(/^nobody reads its output any more: stopping/)
    expect(ran.status).toBe(130)
    const listed = ends(`${words} runs --tag unread --json | cat`)
    expect(JSON.parse(listed.stdout)).toMatchObject([{ status: 'cancelled' }])
    expect(left()).toEqual([])
    // Not before their reader has gone.
    const gone = "trap '' PIPE; while echo; do :; done 2>/dev/null"
    for (const asked of ['runs --tag unread', 'help']) {
      const looked = ends(`set -o pipefail; { ${gone}; "${process.execPath}" "${bin}" ${asked}; } | true`)
      expect(looked.stderr).toBe('')
      expect(looked.status).toBe(141)
    }
  })

  it('draws a live view on a terminal and leaves it clean', async () => {
    const words = [process.execPath, bin, 'run', flow, '--nap', '700', '--datastore', store].join(' ')
    const child = spawn('script', ['-qefc', `stty cols 100 rows 30; ${words}`, '/dev/null'], {
      env: { ...process.env, TERM: 'xterm-256color', CI: '', NO_COLOR: '' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let screen = ''
    child.stdout.setEncoding('utf8').on('data', (data: string) => (screen += data))
    const code = await new Promise((resolve) => child.on('close', resolve))
    expect(code).toBe(0)
    const plain = screen.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, '')
    expect(plain).toMatch(/● squared\/1 \d+ms/)
    expect(plain).toMatch(/\d running.*\d done/)
    expect(plain.trimEnd().split(/\r?\n/).at(-1)).toMatch(/Digits\/\d+ done in/)
  })
})
