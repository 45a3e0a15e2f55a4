import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  everyone,
  folder,
  freshMark,
  isRunning,
  keep,
  marked,
  sh,
  slack,
  sleep,
  spooledText,
  until,
} from './helpers.js'

const fixture = (name: string) => new URL(`./fixtures/${name}`, import.meta.url).pathname

/** Starts something that escapes; the pid of what got away. */
async function escaped(keeper: Awaited<ReturnType<typeof keep>>, name: string, how: 'wait' | 'leave') {
  const file = join(folder(), 'pid')
  const kept = await keeper.spawn(sh(name, '', { argv: ['python3', fixture('escape.py'), file, how] }))
  await until('the escape', () => existsSync(file), 10_000 * slack)
  return { kept, pid: Number(readFileSync(file, 'utf8')) }
}

describe('stop', () => {
  it('ends the whole tree: groups, sessions, and those that ignore TERM', async () => {
    const keeper = await keep()
    // A length that nobody else sleeps.
    const nap = (n: number) => `sleep 60${n}.${process.pid}`
    const found = () =>
      everyone().filter(({ pid, state }) => {
        try {
          const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
          return state !== 'Z' && line.startsWith('sleep\0') && line.endsWith(`.${process.pid}\0`)
        } catch {
          return false
        }
      })
    const script = `setsid ${nap(1)} & (trap "" TERM; ${nap(2)} & ${nap(3)}) & (${nap(4)} &) ; ${nap(5)}`
    const kept = await keeper.spawn(sh('p', script))
    await until('all five', () => found().length === 5)
    const exit = await kept.stop({ graceMs: 200 })
    expect(exit).toMatchObject({ signal: 'SIGTERM', solicited: true })
    expect(found()).toEqual([])
    await kept.closed
  })

  it('lets a process finish within the grace, in order: TERM, then KILL', async () => {
    const keeper = await keep()
    const request = sh('p', 'trap "echo bye; exit 7" TERM; echo up; while :; do sleep 0.02; done')
    const kept = await keeper.spawn(request)
    await until('start', () => spooledText(request) === 'up\n')
    expect(await kept.stop({ graceMs: 5000 * slack })).toMatchObject({ code: 7, solicited: true })
    expect(spooledText(request, 'stdout')).toBe('up\nbye\n')
    const deaf = sh('deaf', 'trap "" TERM INT; echo up; while :; do sleep 0.02; done')
    const other = await keeper.spawn(deaf)
    await until('start', () => spooledText(deaf) === 'up\n')
    expect(await other.stop({ graceMs: 50, signal: 'SIGINT' })).toMatchObject({ signal: 'SIGKILL', solicited: true })
  })

  it('leaves alone what a process starts to save its state, until the KILL', async () => {
    const keeper = await keep()
    const script = 'trap "sleep 0.7 && echo saved; exit 3" TERM; echo up; while :; do sleep 0.02; done'
    const request = sh('p', script)
    const kept = await keeper.spawn(request)
    await until('start', () => spooledText(request) === 'up\n')
    expect(await kept.stop({ graceMs: 20_000 })).toMatchObject({ code: 3 })
    expect(spooledText(request, 'stdout')).toBe('up\nsaved\n')
    const slow = sh('slow', 'trap "sleep 60; echo saved" TERM; echo up; while :; do sleep 0.02; done')
    const other = await keeper.spawn(slow)
    await until('start', () => spooledText(slow) === 'up\n')
    expect(await other.stop({ graceMs: 200 })).toMatchObject({ signal: 'SIGKILL' })
  })

  it('gives an orphan the same grace', async () => {
    const keeper = await keep()
    const done = join(folder(), 'done')
    const slow = `trap "sleep 1.2; touch ${done}; exit" TERM; echo up; while :; do sleep 0.02; done`
    const request = sh('p', `(setsid sh -c '${slow}' &)`)
    const kept = await keeper.spawn(request)
    await kept.exited
    await until('start', () => spooledText(request) === 'up\n')
    await kept.stop({ graceMs: 20_000 })
    expect(existsSync(done)).toBe(true)
  })

  it('reaches a stopped process', async () => {
    const keeper = await keep()
    const request = sh('p', 'trap "exit 9" TERM; echo up; while :; do sleep 0.02; done')
    const kept = await keeper.spawn(request)
    await until('start', () => spooledText(request) === 'up\n')
    kept.signal('SIGSTOP')
    await until('stopped', () => everyone().some((one) => one.pid === kept.pid && one.state === 'T'))
    expect(await kept.stop({ graceMs: 5000 * slack })).toMatchObject({ code: 9 })
  })

  it('ends what double-forked, left its session, cleared its environment and changed its title', async () => {
    const keeper = await keep()
    const [one, two] = await Promise.all([escaped(keeper, 'one', 'wait'), escaped(keeper, 'two', 'wait')])
    expect(isRunning(one.pid) && isRunning(two.pid)).toBe(true)
    await keeper.stopAll({ graceMs: 100 })
    expect([one.pid, two.pid].filter(isRunning)).toEqual([])
  })

  it('knows an orphan by its tag alone, when its parents were gone before anyone looked', async () => {
    const keeper = await keep()
    const other = await keeper.spawn(sh('other', 'sleep 635'))
    const quick = await keeper.spawn(sh('quick', `env -i setsid /bin/sh -c '/bin/sleep 636 &'; exit 0`))
    await quick.exited
    const orphans = () => everyone().filter((one) => one.ppid === keeper.pid && one.pid !== other.pid)
    expect(orphans().length).toBe(1)
    await quick.stop({ graceMs: 1000 * slack })
    expect(orphans()).toEqual([])
    expect(isRunning(other.pid)).toBe(true)
  })

  it('ends only its own tree, also of what escaped long ago', async () => {
    const keeper = await keep()
    const one = await escaped(keeper, 'one', 'leave')
    expect(await one.kept.exited).toMatchObject({ code: 0 })
    const two = await escaped(keeper, 'two', 'wait')
    await one.kept.stop({ graceMs: 100 })
    expect(isRunning(one.pid)).toBe(false)
    expect(isRunning(two.pid)).toBe(true)
    await two.kept.stop({ graceMs: 100 })
    expect(isRunning(two.pid)).toBe(false)
  })

  it('ends perl under another name', async () => {
    const keeper = await keep()
    const title = `kw/${process.pid}`
    const request = sh('p', '', { argv: ['perl', '-e', `$0="${title}"; fork and exit; sleep 600`] })
    const kept = await keeper.spawn(request)
    await kept.exited
    const renamed = () => everyone().filter((one) => one.command.endsWith(`(${title}`))
    await until('the change of title', () => renamed().length === 1)
    await kept.stop({ graceMs: 100 })
    expect(renamed()).toEqual([])
  })

  it('outruns what forks while it is being killed', async () => {
    const mark = freshMark()
    const keeper = await keep({ mark })
    const request = sh('bomb', '', { argv: ['python3', fixture('bomb.py')] })
    const kept = await keeper.spawn(request)
    await until('the first forks', () => spooledText(request).length > 0, 10_000 * slack)
    await kept.stop({ graceMs: 0 })
    expect(marked(mark).filter((pid) => pid !== keeper.pid)).toEqual([])
    await sleep(100)
    expect(marked(mark).filter((pid) => pid !== keeper.pid)).toEqual([])
  })

  it('ends a stray of a tree that was told so, and reports it', async () => {
    const strays: string[] = []
    const keeper = await keep({ onStray: (stray) => strays.push(`${stray.process} ${stray.command}`) })
    const kept = await keeper.spawn(sh('agent', '(setsid sleep 621 &); sleep 622', { strays: 'end' }))
    await until('the stray ended', () => strays.length > 0)
    expect(strays).toEqual(['agent sleep'])
    expect(isRunning(kept.pid)).toBe(true)
  })

  it('keeps a daemon of a living tree by default, under a root keeper too', async () => {
    const keeper = await keep({ root: true })
    const request = sh('task', '(setsid sleep 623 & echo $!); sleep 624')
    const kept = await keeper.spawn(request)
    await until('the daemon', () => spooledText(request).length > 1)
    await sleep(1500)
    const daemon = Number(spooledText(request))
    expect(isRunning(daemon)).toBe(true)
    await kept.stop({ graceMs: 100 })
    expect(isRunning(daemon)).toBe(false)
  })

  it('under a root keeper, what nobody can place is ended at once', async () => {
    const strays: unknown[] = []
    const keeper = await keep({ root: true, onStray: (stray) => strays.push([stray.command, stray.process]) })
    const other = await keeper.spawn(sh('other', 'sleep 625'))
    // Even the tag is taken off, and the parents are gone before anyone looked.
    const script = '(ulimit -S -R unlimited; exec env -i setsid --fork sleep 626); sleep 627'
    const quick = await keeper.spawn(sh('quick', '', { argv: ['bash', '-c', script] }))
    await until('its end', () => strays.length > 0)
    expect(strays).toEqual([['sleep', undefined]])
    // The keeper's own heir is no stray.
    const others = () =>
      everyone().filter(
        ({ pid, ppid, command }) =>
          ppid === keeper.pid && ![other.pid, quick.pid].includes(pid) && !command.endsWith('(gangflow-keeper'),
      )
    await until('its end', () => others().length === 0)
    expect(isRunning(other.pid) && isRunning(quick.pid)).toBe(true)
  })

  it('settles at once for a process that ended, and twice', async () => {
    const keeper = await keep()
    const kept = await keeper.spawn(sh('p', 'exit 5'))
    await kept.exited
    expect(await kept.stop({ graceMs: 60_000 })).toMatchObject({ code: 5, solicited: false })
    expect(await kept.stop({ graceMs: 60_000 })).toMatchObject({ code: 5 })
    await keeper.stopAll({ graceMs: 60_000 })
    await keeper.close()
    expect(await kept.stop({ graceMs: 60_000 })).toMatchObject({ code: 5 })
    await expect(keeper.spawn(sh('q', 'true'))).rejects.toMatchObject({ code: 'E_KEEPER_LOST' })
  })
})
