import { describe, expect, it } from 'vitest'
import { GroupsKeeper } from '../../src/process/groups.js'
import { env, folder, freshMark, isRunning, sh, sleep, spooledText, until } from './helpers.js'

async function withGroups<T>(run: (keeper: GroupsKeeper) => Promise<T>): Promise<T> {
  const keeper = new GroupsKeeper({ mark: freshMark() })
  try {
    return await run(keeper)
  } finally {
    await keeper.close({ graceMs: 0 })
  }
}

describe('process groups, without the native helper', () => {
  it('run a command exactly, spool it, and report its end', () =>
    withGroups(async (keeper) => {
      expect(keeper.native).toBe(false)
      const request = sh('p', '', {
        argv: ['sh', '-c', 'printf "<%s>" "$@"; cat; echo err >&2; exit 3', 'sh', 'a b', ''],
        stdin: Buffer.from('in'),
        env: { ...env, TERM: 'x' },
      })
      const kept = await keeper.spawn(request)
      expect(await kept.exited).toMatchObject({ code: 3, solicited: false })
      expect(spooledText(request, 'stdout')).toBe('<a b><>in')
      expect(spooledText(request, 'stderr')).toBe('err\n')
      await kept.closed
    }))

  it('name what cannot start as the native helper does', () =>
    withGroups(async (keeper) => {
      await expect(keeper.spawn(sh('p', '', { argv: ['no-such-program'] }))).rejects.toMatchObject({
        code: 'E_PROCESS_PROGRAM_MISSING',
      })
      await expect(keeper.spawn(sh('p', 'true', { cwd: '/no/such/folder' }))).rejects.toMatchObject({
        code: 'E_PROCESS_CWD_MISSING',
      })
      await expect(keeper.spawn(sh('p', '', { argv: [folder()] }))).rejects.toMatchObject({
        code: 'E_PROCESS_NOT_ALLOWED',
      })
    }))

  it('end a tree: those that ignore TERM, and those in a session of their own', () =>
    withGroups(async (keeper) => {
      const request = sh(
        'p',
        'trap "" TERM; (setsid sleep 641 & echo $!) ; (sleep 642 & echo $!); while :; do sleep 0.05; done',
      )
      const kept = await keeper.spawn(request)
      await until('both', () => spooledText(request).trim().split('\n').length === 2)
      const pids = spooledText(request).trim().split('\n').map(Number)
      expect(pids.filter(isRunning)).toEqual(pids)
      expect(await kept.stop({ graceMs: 100 })).toMatchObject({ signal: 'SIGKILL', solicited: true })
      expect([kept.pid, ...pids].filter(isRunning)).toEqual([])
    }))

  it('keep a flood whole, and report the end at once though a descendant holds the output', () =>
    withGroups(async (keeper) => {
      const request = sh('p', 'seq 1 200000; (sleep 643 &) ; exit 2')
      const kept = await keeper.spawn(request)
      expect(await kept.exited).toMatchObject({ code: 2 })
      const lines = spooledText(request).split('\n')
      expect([lines.length, lines[0], lines[199_999]]).toEqual([200_001, '1', '200000'])
      await kept.stop({ graceMs: 0 })
      await kept.closed
    }))

  it('find a free port', () =>
    withGroups(async (keeper) => {
      const one = await keeper.hold({})
      const two = await keeper.hold({})
      expect(one.port).not.toBe(two.port)
      await expect(keeper.hold({ port: one.port })).rejects.toMatchObject({ code: 'E_PORT_TAKEN' })
      await one.release()
      expect((await keeper.hold({ port: one.port })).port).toBe(one.port)
    }))

  it('are watched by a shell that does nothing while the owner lives', () =>
    withGroups(async (keeper) => {
      const kept = await keeper.spawn(sh('p', 'sleep 644'))
      await sleep(300)
      expect(isRunning(kept.pid)).toBe(true)
    }))
})
