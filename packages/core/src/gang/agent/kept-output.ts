import { decodeLog } from '../../datastore/log-format.js'
import { readRecords } from '../../datastore/logs/spool.js'
import type { OutputChunk } from '../../process/contract.js'

/** Bytes of each output that a command's result holds. */
const KEPT = 1 << 20
/** Bytes of a spool read at once. */
const PIECE = 1 << 20

/** What a command's result says of its output: whole as long as it is short, else its end. */
export class KeptOutput {
  #ends = { stdout: new End(), stderr: new End() }
  #gap = false

  push({ stream, data, skipped }: OutputChunk): void {
    if (skipped) this.#gap = true
    this.#ends[stream].push(data)
  }

  /** Reads the spool where not all came live. */
  async text(spool: string): Promise<{ stdout: string; stderr: string }> {
    if (this.#gap) {
      const ends = { stdout: new End(), stderr: new End() }
      for (let from = 0; ; ) {
        const bytes = await readRecords(spool, from, PIECE)
        if (bytes.length === 0) break
        for (const { stream, data } of decodeLog(bytes).records) ends[stream].push(data)
        from += bytes.length
      }
      this.#ends = ends
    }
    return { stdout: this.#ends.stdout.text(), stderr: this.#ends.stderr.text() }
  }
}

class End {
  #chunks: Uint8Array[] = []
  #size = 0

  push(data: Uint8Array): void {
    this.#chunks.push(data)
    this.#size += data.length
    // Seldom, so that many small pieces cost no more than few large ones.
    if (this.#size > 2 * KEPT) {
      const whole = Buffer.concat(this.#chunks)
      this.#chunks = [whole.subarray(whole.length - KEPT)]
      this.#size = KEPT
    }
  }

  text(): string {
    const whole = Buffer.concat(this.#chunks)
    return whole.subarray(Math.max(0, whole.length - KEPT)).toString('utf8')
  }
}
