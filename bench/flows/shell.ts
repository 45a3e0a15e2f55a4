import { execFileSync } from 'node:child_process'
import { current, FlowSpec, type Inputs, parallel, step } from '@gangflow/core'
import type { GangContext } from '@gangflow/core/plugin'

/** A remote shell from the control to the next host, by every way there is; each round says its times. */
export default class Shell extends FlowSpec {
  @step start() {
    this.next(this.call, { numParallel: 4 })
  }
  @parallel()
  @step
  async call() {
    const gang = current.parallel as GangContext
    const shell = await gang.shell()
    const host = gang.roster.entries[1]!.host
    const env = { ...process.env, ...shell.env }
    await gang.barrier()
    if (gang.isControl) {
      const ways: Record<string, readonly string[]> = {
        'ssh, sshd': ['ssh', host, 'true'],
        'ssh, the mesh': ['ssh', '-F', shell.config, host, 'true'],
        shim: [shell.shim, host, 'true'],
        'scp, sshd': ['scp', '-q', 'big.bin', `${host}:by-scp.bin`],
        'scp, the mesh': ['scp', '-q', '-F', shell.config, 'big.bin', `${host}:by-mesh.bin`],
        'shim, cat': ['sh', '-c', `${shell.shim} ${host} 'cat > by-shim.bin' < big.bin`],
      }
      execFileSync('sh', ['-c', 'head -c 256M /dev/urandom > big.bin'])
      for (let round = 0; round < 8; round += 1) {
        for (const [name, [program, ...args]] of Object.entries(ways)) {
          const begun = performance.now()
          execFileSync(program!, args, { env, stdio: 'ignore' })
          if (round > 0) console.log(`time ${(performance.now() - begun).toFixed(1)} ${name}`)
        }
      }
    }
    await gang.barrier()
    this.next(this.join)
  }
  @step join(_inputs: Inputs<Shell>) {
    this.next(this.end)
  }
  @step end() {}
}
