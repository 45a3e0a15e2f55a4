import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { env, folder, keep, sh, spooledText } from './helpers.js'

describe('a process that cannot start', () => {
  it('says what is missing: program, directory, interpreter, permission', async () => {
    const keeper = await keep()
    const cwd = folder()
    writeFileSync(join(cwd, 'plain'), 'echo hi\n')
    writeFileSync(join(cwd, 'script'), '#!/no/such/python\n')
    chmodSync(join(cwd, 'script'), 0o755)
    writeFileSync(join(cwd, 'no-first-line'), 'echo "ran $1"\n')
    chmodSync(join(cwd, 'no-first-line'), 0o755)
    const start = (argv: string[], more = {}) => keeper.spawn(sh('p', '', { argv, cwd, ...more }))
    await expect(start(['no-such-program-here'])).rejects.toMatchObject({
      code: 'E_PROCESS_PROGRAM_MISSING',
      what: expect.stringContaining('no-such-program-here'),
      fix: expect.stringContaining('PATH'),
    })
    await expect(start(['./gone'])).rejects.toMatchObject({ code: 'E_PROCESS_PROGRAM_MISSING' })
    await expect(start(['./script'])).rejects.toMatchObject({ what: expect.stringContaining('interpreter') })
    await expect(start(['./plain'])).rejects.toMatchObject({ code: 'E_PROCESS_NOT_ALLOWED' })
    await expect(start([cwd])).rejects.toMatchObject({ code: 'E_PROCESS_NOT_ALLOWED' })
    await expect(start(['true'], { cwd: join(cwd, 'gone') })).rejects.toMatchObject({
      code: 'E_PROCESS_CWD_MISSING',
      what: expect.stringContaining('gone'),
    })
    await expect(start(['true'], { cwd: join(cwd, 'plain') })).rejects.toMatchObject({ code: 'E_PROCESS_CWD_MISSING' })
    await expect(start(['true', 'x'.repeat(3 << 20)])).rejects.toMatchObject({
      code: 'E_PROCESS_START',
      what: expect.stringContaining('E2BIG'),
    })
    await expect(start([])).rejects.toMatchObject({ code: 'E_PROCESS_START' })
    await expect(start(['echo', 'a\0b'])).rejects.toMatchObject({ fix: expect.stringContaining('NUL') })
    const request = sh('ok', '', { argv: ['./no-first-line', 'well'], cwd })
    await (await keeper.spawn(request)).exited
    expect(spooledText(request)).toBe('ran well\n')
  })

  it('finds programs by the PATH that the process gets, not by its own', async () => {
    const keeper = await keep()
    const bin = folder()
    writeFileSync(join(bin, 'only-there'), '#!/bin/sh\necho found\n')
    chmodSync(join(bin, 'only-there'), 0o755)
    const request = sh('p', '', { argv: ['only-there'], env: { ...env, PATH: `/nowhere:${bin}` } })
    await (await keeper.spawn(request)).exited
    expect(spooledText(request)).toBe('found\n')
  })

  it('names a spool that cannot be written, and a name that is taken', async () => {
    const keeper = await keep()
    const spool = folder()
    mkdirSync(join(spool, 'p.spool'))
    await expect(keeper.spawn(sh('p', 'true', { spool }))).rejects.toMatchObject({ code: 'E_PROCESS_SPOOL' })
    writeFileSync(join(spool, 'file'), '')
    await expect(keeper.spawn(sh('p', 'true', { spool: join(spool, 'file') }))).rejects.toMatchObject({
      code: 'E_PROCESS_SPOOL',
    })
    const first = await keeper.spawn(sh('twice', 'sleep 60', { spool }))
    await expect(keeper.spawn(sh('twice', 'true', { spool }))).rejects.toMatchObject({ code: 'E_PROCESS_NAME_TAKEN' })
    await first.stop({ graceMs: 0 })
    await (await keeper.spawn(sh('twice', 'true', { spool }))).exited
  })
})
