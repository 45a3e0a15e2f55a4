import { execFile, execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { current, FlowSpec, type Inputs, parameter, resources, step } from '@gangflow/core'
import { mpi } from '@gangflow/plugin-mpi'

const run = promisify(execFile)
const ranks = 8

/** Programs by current.mpi and by the same mpirun typed by hand over OpenSSH, in turns; prints `time MS FIGURE / WHO`. */
export default class Mpi extends FlowSpec {
  readonly rounds = parameter.number({ default: 5 })
  readonly megabytes = parameter.number({ default: 1024 })

  @step start() {
    this.next(this.measure, { numParallel: 4 })
  }

  @mpi()
  @resources({ cpu: 2 })
  @step
  async measure() {
    const { cc, broadcastFile, exec, plan } = current.mpi
    const build = async (name: string) => {
      const { out } = await cc(`../mpi/${name}.c`, { out: `/tmp/bench-${current.run}/${name}` })
      await broadcastFile(out)
      return out
    }
    const [hello, bcast] = [await build('hello'), await build('bcast')]
    const folder = dirname(hello)
    const planned = await plan({ program: [hello], np: ranks })
    const hydra = planned.implementation.startsWith('MPICH')
    const names = current.parallel.roster.entries.map(({ host }) => host)
    const hostfile = join(folder, 'hosts')
    writeFileSync(hostfile, names.map((name) => (hydra ? `${name}:2\n` : `${name} slots=2\n`)).join(''))
    const bare = { ...process.env, OMPI_ALLOW_RUN_AS_ROOT: '1', OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: '1' }
    // Our settings, without what is about our own remote shell and folders.
    const ours = Object.entries({ ...planned.env, ...planned.rankEnv }).filter(
      ([name, value]) => !/plm|agent|LAUNCHER|TMPDIR|tmpdir/.test(name) && !value.includes('gf-mpi'),
    )
    const tuned = { ...bare, ...Object.fromEntries(ours) }
    const mpirun = planned.argv[0]!
    const byHand = (env: NodeJS.ProcessEnv, np: number, more: string[], ...program: string[]) =>
      run(mpirun, [hydra ? '-f' : '--hostfile', hostfile, ...more, '-n', String(np), ...program], { env })

    const timed = async (figure: string, who: string, work: () => Promise<unknown>) => {
      const begun = performance.now()
      await work()
      console.log(`time ${(performance.now() - begun).toFixed(1)} ${figure} / ${who}`)
    }
    for (let round = 0; round < this.rounds; round++)
      for (const [figure, ...words] of [['hello'], ['a job of 1 s', '1']] as [string, ...string[]][]) {
        await timed(figure, 'gangflow', () => exec({ program: [hello, ...words], np: ranks }))
        await timed(figure, 'by hand', () => byHand(bare, ranks, [], hello, ...words))
        await timed(figure, 'by hand, our settings', () => byHand(tuned, ranks, [], hello, ...words))
      }

    const [big, to] = [join(folder, 'big'), join(folder, 'copied')]
    execFileSync('sh', ['-c', 'head -c "$1"M /dev/urandom > "$2"', 'sh', String(this.megabytes), big])
    const figure = `${this.megabytes} MB to three hosts`
    const clean = () => current.parallel.exec('others', ['rm', '-f', to, big])
    for (let round = 0; round < Math.min(this.rounds, 3); round++) {
      await timed(figure, 'gangflow', () => broadcastFile(big))
      await clean()
      await timed(figure, 'by hand', async () => {
        for (const name of names.slice(1)) await run('scp', ['-q', big, `${name}:${to}`])
      })
      await clean()
      const each = hydra ? ['-ppn', '1'] : ['--map-by', 'ppr:1:node']
      await timed(figure, 'MPI_Bcast', () => byHand(tuned, names.length, each, bcast, big, to))
      await clean()
    }
    await current.parallel.exec('all', ['rm', '-rf', folder])
    this.next(this.join)
  }

  @step join(_inputs: Inputs<Mpi>) {
    this.next(this.end)
  }

  @step end() {}
}
