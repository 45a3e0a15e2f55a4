import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import { current, FlowSpec, type Inputs, step } from '@gangflow/core'
import { mpi } from '@gangflow/plugin-mpi'

const wrong = `#include <mpi.h>
int main(void) { return MPI_COMM_NOWHERE; }
`

/** Compiles and copies in every way, and keeps what came of each. */
export default class Tools extends FlowSpec {
  outcomes!: Record<string, unknown>

  @step start() {
    this.next(this.work, { numParallel: 4 })
  }

  @mpi()
  @step
  async work() {
    const { cc, broadcastFile } = current.mpi
    mkdirSync('made', { recursive: true })
    writeFileSync('made/wrong.c', wrong)
    writeFileSync('made/right.c', '#include <mpi.h>\nint main(void) { MPI_Init(0, 0); MPI_Finalize(); return 0; }\n')
    writeFileSync('made/big', Buffer.alloc(9_000_000, 'gang'))
    writeFileSync('made/tool', '#!/bin/sh\ntrue\n', { mode: 0o751 })
    const tell = (work: Promise<unknown>) =>
      work.catch(({ code, what, fix }: Record<string, string>) => ({ code, what, fix }))
    const ls = async (path: string) => {
      const ends = await current.parallel.exec('all', ['sh', '-c', `stat -c '%a %s' ${path}; sha256sum < ${path}`])
      return [...new Set(ends.map(({ stdout }) => stdout))]
    }
    const inode = () => statSync('made/big').ino
    const before = inode()
    this.outcomes = {
      wrong: await tell(cc('made/wrong.c')),
      right: await tell(cc('made/right.c')),
      words: await tell(cc(['-DX=a b', '-o', 'made/words', 'made/right.c'])),
      fortran: await tell(cc('made/right.c', { language: 'fortran' })),
      unknown: await tell(cc('made/tool')),
      big: await tell(broadcastFile('made/big')),
      sameFile: inode() === before,
      bigs: await ls('made/big'),
      tool: await tell(broadcastFile('made/tool', { to: 'put/there/tool' })),
      tools: await ls('put/there/tool'),
      taken: await tell(broadcastFile('made/tool', { to: 'put/there' })),
      folder: await tell(broadcastFile('made')),
      ran: await tell(current.mpi.run({ program: ['./made/words'], np: 1 })),
    }
    this.next(this.join)
  }

  @step join(inputs: Inputs<Tools>) {
    this.outcomes = inputs.control.outcomes
    this.next(this.end)
  }

  @step end() {}
}
