import { rmSync } from 'node:fs'
import { current, FlowSpec, type Inputs, parameter, resources, step } from '@gangflow/core'
import { mpi } from '@gangflow/plugin-mpi'
import { draw, type Pair } from './picture.ts'

/** Latency and bandwidth between all pairs of members, drawn as a picture. */
export default class MpiPairs extends FlowSpec {
  readonly members = parameter.number({ default: 4, help: 'members of the gang' })
  pairs!: Pair[]

  @step start() {
    this.next(this.measure, { numParallel: this.members })
  }

  @mpi()
  @resources({ cpu: 1 })
  @step
  async measure() {
    const { out } = await current.mpi.cc('pairs.c', { out: `build/pairs-${current.run}` })
    await current.mpi.broadcastFile(out)
    const { world } = await current.mpi.plan({ program: [out] })
    // Of each member the first rank: they are counted host by host.
    const firsts: number[] = []
    let before = 0
    for (const { members, ranks } of world.lines) {
      for (const { node, first } of members) firsts[node] = before + first
      before += ranks
    }
    const { stdout } = await current.mpi.run({ program: [out], programArgs: firsts })
    this.pairs = stdout
      .trim()
      .split('\n')
      .map((line) => line.split(' ').map(Number))
      .map(([from, to, microseconds, megabytes]) => ({ from, to, microseconds, megabytes }) as Pair)
    const hosts = current.parallel.roster.entries.map(({ host }) => host)
    for (const line of draw(hosts, this.pairs)) console.log(line)
    rmSync(out)
    this.next(this.join)
  }

  @step join(inputs: Inputs<MpiPairs>) {
    this.pairs = inputs.control.pairs
    this.next(this.end)
  }

  @step end() {}
}
