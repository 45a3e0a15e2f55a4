import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { slack, sleep } from '../../support/gang.js'

/** A disk that can be made to hang, as a network disk does whose server is gone: bindfs, stopped and woken. */
export class HangingDisk {
  readonly path: string
  readonly #server: ChildProcess

  private constructor(private readonly folder: string) {
    this.path = join(folder, 'mounted')
    for (const name of ['behind', 'mounted']) mkdirSync(join(folder, name), { recursive: true })
    this.#server = spawn('bindfs', ['-f', join(folder, 'behind'), this.path], {
      stdio: ['ignore', 'ignore', 'inherit'],
    })
  }

  static async mount(folder: string): Promise<HangingDisk> {
    const disk = new HangingDisk(folder)
    const outside = statSync(folder).dev
    for (const deadline = performance.now() + 5_000 * slack; statSync(disk.path).dev === outside; await sleep(10))
      if (performance.now() > deadline) throw new Error('bindfs mounts nothing\n  fix: apt-get install bindfs')
    return disk
  }

  hang(): void {
    this.#server.kill('SIGSTOP')
  }

  heal(): void {
    this.#server.kill('SIGCONT')
  }

  remove(): void {
    this.heal()
    // Its server ends with it.
    spawnSync('umount', ['-l', this.path])
    rmSync(this.folder, { recursive: true, force: true })
  }
}
