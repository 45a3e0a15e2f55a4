// What a map takes from its surroundings: a terminal for its bar, and the CPUs that a control group leaves it.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'

const entry = new URL('../../../packages/core/dist/parallel.js', import.meta.url).href

/** A file that has a program; its folder goes with the test. */
function fileOf(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'gangflow-map-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'program.mjs')
  writeFileSync(file, `import { parallelMap, WorkerPool } from ${JSON.stringify(entry)}\n${text}`)
  return file
}

describe('on a terminal', () => {
  it('a map draws its bar over itself, as wide as there is room, and leaves the last one', () => {
    const file = fileOf(`
      const wait = async (item) => {
        await new Promise((resolve) => setTimeout(resolve, 25))
        if (item === 3) throw new Error('no')
      }
      const items = Array.from({ length: 30 }, (_, index) => index)
      await parallelMap(items, wait, { workers: 2, label: 'waits', onError: 'collect', progress: true })
      console.log('after it')
    `)
    // script(1) runs it on a pseudo-terminal and shows what that got.
    const inside = `stty cols 70; exec ${process.execPath} ${file} 2>&1`
    const shown = execFileSync('script', ['-qec', inside, '/dev/null'], { encoding: 'utf8', stdio: 'pipe' })
    const [drawn, rest] = shown.split('after it') as [string, string]
    const bars = drawn.split('\r\x1b[K').slice(1)
    expect(bars.length).toBeGreaterThan(1)
    for (const bar of bars) expect(bar.trimEnd().length).toBeLessThan(70)
    // What is left shows once something is done.
    expect(bars[0]).toMatch(/^waits \d+% ━*─+ \d+\/30 {2}[\d.]+\/s {2}\d+:\d\d(?: {2}left \d+:\d\d)?/)
    expect(bars.at(-1)).toMatch(/^waits 100% ━+ 30\/30 {2}[\d.]+\/s {2}\d+:\d\d {2}1 failed\r?\n$/)
    expect(bars.slice(0, -1).some((bar) => bar.includes('\n'))).toBe(false)
    expect(rest.trim()).toBe('')
  })
})

describe('in a realm of its own, as Jest has for the modules of a test', () => {
  it('a function is sent with what it uses', () => {
    const file = fileOf(`
      import { readFileSync } from 'node:fs'
      import { createRequire } from 'node:module'
      import vm from 'node:vm'
      const { resolve } = createRequire(${JSON.stringify(entry)})
      const globals = { process, console, performance, setInterval, clearInterval, setTimeout, clearTimeout, Buffer, Blob, URL, AbortSignal }
      const context = vm.createContext(globals)
      const outside = async (name) => {
        const all = await import(resolve(name))
        const fill = (made) => Object.entries(all).forEach(([key, value]) => made.setExport(key, value))
        const made = new vm.SyntheticModule(Object.keys(all), () => fill(made), { context })
        return made
      }
      const inside = (text, url) => new vm.SourceTextModule(text, {
        context,
        initializeImportMeta: (meta) => Object.assign(meta, { url }),
        importModuleDynamically: async (name) => {
          const made = await outside(name)
          await made.link(() => {})
          await made.evaluate()
          return made
        },
      })
      const map = inside(readFileSync(new URL(${JSON.stringify(entry)}), 'utf8'), ${JSON.stringify(entry)})
      const main = inside(\`
        import { parallelMap } from 'map'
        const [factor, list, instance] = [3, [5], new (class { add(x) { return x + 1 } })()]
        console.log(JSON.stringify(await parallelMap([1, 2], (x) => instance.add(x) * factor + list[0])))
      \`, 'file:///main.mjs')
      await main.link((name) => (name === 'map' ? map : outside(name)))
      await main.evaluate()
    `)
    const flags = ['--experimental-vm-modules', '--no-warnings', file]
    expect(execFileSync(process.execPath, flags, { encoding: 'utf8' })).toBe('[11,14]\n')
  })
})

/** A control group of this machine with a quota: version 2 where its CPU controller is, else version 1. */
function groupWith(cpus: number): string {
  const isV2 = existsSync('/sys/fs/cgroup/cgroup.controllers')
  if (isV2) writeFileSync('/sys/fs/cgroup/cgroup.subtree_control', '+cpu')
  const group = `/sys/fs/cgroup/${isV2 ? '' : 'cpu/'}gangflow-test-${process.pid}-${cpus * 10}`
  mkdirSync(group)
  onTestFinished(() => rmdirSync(group))
  if (isV2) writeFileSync(join(group, 'cpu.max'), `${cpus * 100_000} 100000`)
  else {
    writeFileSync(join(group, 'cpu.cfs_period_us'), '100000')
    writeFileSync(join(group, 'cpu.cfs_quota_us'), `${cpus * 100_000}`)
  }
  return group
}

const size = 'console.log(new WorkerPool().size)'

describe('in a control group', () => {
  it('a pool has as many workers as the quota gives it, rounded up', () => {
    for (const cpus of [0.5, 1.5]) {
      const group = groupWith(cpus)
      const inside = `echo $$ > ${group}/cgroup.procs && exec ${process.execPath} ${fileOf(size)}`
      const shown = execFileSync('sh', ['-c', inside], { encoding: 'utf8' })
      expect(Number(shown)).toBe(Math.min(Math.ceil(cpus), availableParallelism()))
    }
  })

  it('a map goes on with the workers that can be started, or says that none can', () => {
    const isV2 = existsSync('/sys/fs/cgroup/cgroup.controllers')
    if (isV2) writeFileSync('/sys/fs/cgroup/cgroup.subtree_control', '+pids')
    const group = `/sys/fs/cgroup/${isV2 ? '' : 'pids/'}gangflow-test-${process.pid}`
    mkdirSync(group)
    onTestFinished(() => rmdirSync(group))
    const file = fileOf(`
      import { readdirSync, writeFileSync } from 'node:fs'
      for (const more of [2, 0]) {
        writeFileSync('${group}/pids.max', String(readdirSync('/proc/self/task').length + more))
        const map = parallelMap([1, 2, 3, 4, 5, 6], (x) => x * 2, { workers: 6, heap: 100 + more })
        console.log(await map.catch(({ code }) => code))
      }
    `)
    const inside = `echo $$ > ${group}/cgroup.procs && exec ${process.execPath} ${file}`
    const shown = execFileSync('sh', ['-c', inside], { encoding: 'utf8' })
    expect(shown).toBe('[ 2, 4, 6, 8, 10, 12 ]\nE_POOL_START\n')
  })

  it('the narrowest quota of version 2 counts, up to the root', () => {
    // Whatever this machine has: its files as version 2 would have them, for one process' eyes.
    const own = /^0::(\/.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '/'
    const inside = `mount -t tmpfs none /sys/fs/cgroup && mkdir -p /sys/fs/cgroup${own} &&
      echo 'max 100000' > /sys/fs/cgroup${own}/cpu.max && echo '90000 100000' > /sys/fs/cgroup/cpu.max &&
      exec ${process.execPath} ${fileOf(size)}`
    expect(execFileSync('unshare', ['--mount', 'sh', '-c', inside], { encoding: 'utf8' }).trim()).toBe('1')
  })
})
