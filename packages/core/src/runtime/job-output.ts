import { open } from 'node:fs/promises'
import { StringDecoder } from 'node:string_decoder'

/** Bytes read at once: a flood is taken in pieces. */
const PIECE = 1 << 20
/** Lines of others than the job itself that are kept: what the engine says of it. */
const KEPT = 20

/** Follows the file into which a job's output goes: what it tells, as JSON, and what others have written there. */
export class JobOutput {
  /** What was no JSON of the job's: its engine's last words, those of a shell, of a Node that did not start. */
  readonly others: string[] = []
  readonly #path: string
  readonly #take: (told: { readonly type: string }) => void
  readonly #decoder = new StringDecoder('utf8')
  #at = 0
  #held = ''
  #reading: Promise<void> | undefined
  #again = false

  constructor(path: string, take: (told: { readonly type: string }) => void) {
    this.#path = path
    this.#take = take
  }

  /** The job has written something. */
  get begun(): boolean {
    return this.#at > 0
  }

  /** Takes what is new. Opened anew each time: a network disk then asks its server. */
  read(): Promise<void> {
    this.#again = this.#reading !== undefined
    this.#reading ??= this.#readAll().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  /** What was written while it was read may be no part of that: whoever asks meanwhile is given it too. */
  async #readAll(): Promise<void> {
    do {
      this.#again = false
      await this.#read()
    } while (this.#again)
  }

  async #read(): Promise<void> {
    const file = await open(this.#path, 'r').catch(() => undefined)
    if (!file) return
    try {
      const piece = Buffer.allocUnsafe(Math.min(PIECE, Math.max(0, (await file.stat()).size - this.#at)))
      while (piece.length > 0) {
        const { bytesRead } = await file.read(piece, 0, piece.length, this.#at)
        if (bytesRead === 0) return
        this.#at += bytesRead
        this.#push(this.#decoder.write(piece.subarray(0, bytesRead)))
      }
    } finally {
      await file.close()
    }
  }

  #push(text: string): void {
    const lines = (this.#held + text).split('\n')
    this.#held = lines.pop()!
    for (const line of lines) this.#line(line)
  }

  #line(line: string): void {
    if (line.startsWith('{"')) {
      try {
        const told = JSON.parse(line) as { readonly type?: unknown }
        if (typeof told.type === 'string') {
          this.#take(told as { readonly type: string })
          return
        }
      } catch {
        // Somebody else's after all.
      }
    }
    if (line.trim() === '') return
    this.others.push(line)
    if (this.others.length > KEPT) this.others.shift()
  }
}
