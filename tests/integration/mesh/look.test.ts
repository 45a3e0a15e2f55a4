import { spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cleanUp, doneOf, gangFlow, type RunningGang, startGang, until } from '../../support/gang.js'

afterAll(cleanUp)
const cli = new URL('../../../packages/core/dist/cli.cjs', import.meta.url).pathname

interface Seen {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

function look(args: readonly string[], input = '', program = [process.execPath, cli, 'ssh']): Promise<Seen> {
  const child = spawn(program[0]!, [...program.slice(1), ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk))
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })))
}

describe.each(['unix', 'ssh'] as const)('gangflow ssh into a living gang over %s', (transport) => {
  let gang: RunningGang
  let path: string
  beforeAll(async () => {
    gang = await startGang(gangFlow(`console.log('UP'); while (!existsSync('enough')) await sleep(50)`), { transport })
    for (const node of [0, 1, 2, 3]) await gang.line(new RegExp(`^${node} body UP`))
    path = `Gang/${gang.run}/multi/2`
  })
  afterAll(async () => {
    writeFileSync(`${gang.folder}/enough`, '')
    doneOf(await gang.outcome, gang)
    await gang.ended
    const gone = await look([path, '0', 'true'])
    expect(gone).toMatchObject({ code: 3, stderr: expect.stringMatching(/E_GANG_NOT_LIVING/) })
  })

  it('runs a command: streams, status, options of its own, in the environment of the member', async () => {
    const command = 'cat; echo node $GANGFLOW_NODE of $GANGFLOW_NUM_NODES; echo err >&2; exit 5'
    expect(await look([path, '2', command], 'in ')).toEqual({ code: 5, stdout: 'in node 2 of 4\n', stderr: 'err\n' })
    expect((await look([gang.run, 'm1', 'printf', '%s', '-t'])).stdout).toBe('-t')
    expect((await look([path, '1', 'pwd'])).stdout.trim()).toBe(gang.folder)
    expect((await look([path, '3', 'kill -KILL $$'])).code).toBe(137)
  })

  it('says who is there when it is asked for nobody', async () => {
    expect(await look([path, '9', 'true'])).toMatchObject({ code: 2, stderr: expect.stringMatching(/0 \(m0, here\)/) })
    expect(await look(['nothing/7', '0'])).toMatchObject({
      code: 3,
      stderr: expect.stringMatching(new RegExp(`those that run: .*${gang.run}/multi/2`)),
    })
    expect((await look([path])).code).toBe(2)
  })

  it('gives a shell on a terminal', async () => {
    const typed = `${process.execPath} ${cli} ssh ${path} 1`
    const child = spawn('script', ['-qec', typed, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] })
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => (text += chunk))
    child.stdin.write('tty && echo on-$((1 + 1)) && stty size\n')
    await until(() => /on-2/.test(text) && /\/dev\/pts\//.test(text), 'the shell answers')
    // Ctrl-C is the remote's.
    child.stdin.write('sleep 1000\n')
    await until(() => /sleep 1000/.test(text), 'the command is typed')
    await new Promise((resolve) => setTimeout(resolve, 300))
    child.stdin.write('\x03')
    child.stdin.write('echo still-$((2 + 1)); exit 4\n')
    const code = await new Promise((resolve) => child.once('close', resolve))
    expect(text).toMatch(/still-3/)
    expect(code).toBe(4)
  })
})

it('gangflow ssh reaches a gang of gangflow run', async () => {
  const file = gangFlow(`writeFileSync('up' + p.nodeIndex, ''); while (!existsSync('enough')) await sleep(50)`)
  const folder = join(file, '..')
  const child = spawn(process.execPath, [cli, 'run', file, '--json'], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => (said += chunk))
  const ended = new Promise((resolve) => child.once('close', resolve))
  await until(() => [0, 1, 2, 3].every((node) => existsSync(join(folder, `up${node}`))), 'the gang is up')
  const inside = await look([`Gang/${/"run":"(\d+)"/.exec(said)![1]}`, '3', 'echo node $GANGFLOW_NODE'])
  writeFileSync(join(folder, 'enough'), '')
  expect(inside).toEqual({ code: 0, stdout: 'node 3\n', stderr: '' })
  expect(await ended).toBe(0)
})
