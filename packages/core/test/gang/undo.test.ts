import { spawn } from 'node:child_process'
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { checkUndo, declaredUndos, declareUndo, performUndos, undoFile } from '../../src/gang/agent/undo.js'
import { startKeeper } from '../../src/process/start.js'

const folder = () => mkdtempSync(join(tmpdir(), 'gangflow-undo-'))

describe('what is undone at the end of a member', () => {
  it('is performed last first, once, whatever of it fails', async () => {
    const directory = folder()
    const made = join(directory, 'made')
    mkdirSync(join(made, 'deep'), { recursive: true })
    const keeper = await startKeeper({ mark: 'undo-test' })
    const env = { PATH: process.env['PATH']! }
    const say = (text: string) => ({ run: { argv: ['sh', '-c', `echo ${text} >> log`], cwd: directory } })
    declareUndo(directory, say('first'))
    declareUndo(directory, { remove: made })
    declareUndo(directory, { run: { argv: ['sh', '-c', 'exit 3'], name: 'bad one' } })
    declareUndo(directory, say('last'))
    appendFileSync(undoFile(directory), '{"run":{"argv":["sh"') // its writer was killed
    const complaints = await performUndos(directory, keeper, { env, cwd: directory, spool: directory })
    expect(complaints).toHaveLength(1)
    expect(complaints[0]).toMatch(/bad one.*ended with code 3/)
    expect(existsSync(made)).toBe(false)
    expect(await performUndos(directory, keeper, { env, cwd: directory })).toEqual([])
    expect(readFileSync(join(directory, 'log'), 'utf8')).toBe('last\nfirst\n')
    await keeper.close()
  })

  it('ends processes by an entry of their environment', async () => {
    const directory = folder()
    const marker = `GANGFLOW_TEST_MARK=${process.pid}-${Date.now()}`
    const [name, value] = marker.split('=') as [string, string]
    const child = spawn('sleep', ['60'], { env: { ...process.env, [name]: value }, detached: true })
    await new Promise((resolve) => child.once('spawn', resolve))
    const ended = new Promise((resolve) => child.once('exit', (_, signal) => resolve(signal)))
    declareUndo(directory, { kill: { marker } })
    const keeper = await startKeeper({ mark: 'undo-test' })
    expect(await performUndos(directory, keeper, { env: {}, cwd: '/' })).toEqual([])
    expect(await ended).toBe('SIGKILL')
    await keeper.close()
  })

  it.each([
    { remove: '/' },
    { remove: homedir() },
    { remove: 'relative/path' },
    { remove: '/tmp/..' },
    { kill: { marker: 'PATH' } },
    { kill: { marker: 'A=b' } },
    { run: { argv: [] } },
    {},
  ])('refuses %j when it is declared', (undo) => {
    expect(() => checkUndo(undo as never)).toThrowError(expect.objectContaining({ code: 'E_GANG_UNDO' }))
  })

  it('is read with care', () => {
    const directory = folder()
    expect(declaredUndos(directory)).toEqual([])
    writeFileSync(undoFile(directory), '{"remove":"/"}\nnull\n{"remove":"/tmp/gangflow-x"}\n')
    expect(declaredUndos(directory)).toEqual([{ remove: '/tmp/gangflow-x' }])
  })
})
