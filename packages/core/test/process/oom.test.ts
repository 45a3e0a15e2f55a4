import { existsSync, mkdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { keep, sh, spooledText } from './helpers.js'

/** A control group of 64 MiB, where this user may make one; then how a shell enters it. */
function smallGroup(): { enter: string; remove: () => void } | undefined {
  const v1 = existsSync('/sys/fs/cgroup/memory')
  const path = `${v1 ? '/sys/fs/cgroup/memory' : '/sys/fs/cgroup'}/gangflow-test-${process.pid}`
  try {
    mkdirSync(path)
    writeFileSync(`${path}/${v1 ? 'memory.limit_in_bytes' : 'memory.max'}`, String(64 << 20))
    return { enter: `echo $$ > ${path}/cgroup.procs`, remove: () => rmdirSync(path) }
  } catch {
    return undefined
  }
}

const eat = `exec python3 -c 'print("eating", flush=True); x = [bytearray(1 << 20) for _ in range(256)]'`

describe('an end by SIGKILL', () => {
  it('of another sender is not taken for lack of memory', async () => {
    const keeper = await keep()
    const kept = await keeper.spawn(sh('p', 'kill -KILL $$'))
    const exit = await kept.exited
    expect(exit).toMatchObject({ signal: 'SIGKILL', solicited: false })
    expect(exit.outOfMemory).toBeUndefined()
  })

  const group = smallGroup()
  // Only a user who may make control groups can be short of memory without the whole machine being so.
  if (group) {
    it('by the out-of-memory killer is told as such, once', async () => {
      const keeper = await keep()
      try {
        const request = sh('p', `${group.enter}; ${eat}`)
        const kept = await keeper.spawn(request)
        expect(await kept.exited).toMatchObject({ signal: 'SIGKILL', solicited: false, outOfMemory: true })
        expect(spooledText(request)).toBe('eating\n')
        await new Promise((resolve) => setTimeout(resolve, 1200))
        const next = await keeper.spawn(sh('q', 'kill -KILL $$'))
        expect((await next.exited).outOfMemory).toBeUndefined()
      } finally {
        group.remove()
      }
    })
  }
})
