import type { Socket } from 'node:net'

/**
 * Who has knocked and waits for the handshake, in the order of coming. When thousands come at once, all of them at the same
 * time would each take as long as all together, and every deadline would pass for every one; in line each takes
 * its milliseconds, and what else this process does in between waits for few. Who dawdles keeps its connection, not its turn.
 */
export class Line {
  readonly #inside = new Map<Socket, NodeJS.Timeout>()
  readonly #waiting = new Map<Socket, (isTurn: boolean) => void>()

  constructor(
    private readonly atOnce: number,
    private readonly turnMs: number,
  ) {}

  /** Whoever comes now has to wait. */
  get isLong(): boolean {
    return this.#waiting.size > 0 || this.#inside.size >= this.atOnce
  }

  /** Settles when it is its turn; false when it has gone before. */
  turn(socket: Socket): Promise<boolean> {
    return new Promise((resolve) => {
      this.#waiting.set(socket, resolve)
      this.#next()
    })
  }

  /** It is through, or has gone. */
  leave(socket: Socket): void {
    this.#waiting.get(socket)?.(false)
    this.#waiting.delete(socket)
    clearTimeout(this.#inside.get(socket))
    if (this.#inside.delete(socket)) this.#next()
  }

  #next(): void {
    for (const [socket, begin] of this.#waiting) {
      if (this.#inside.size >= this.atOnce) return
      this.#waiting.delete(socket)
      this.#inside.set(
        socket,
        setTimeout(() => this.leave(socket), this.turnMs),
      )
      begin(!socket.destroyed)
    }
  }
}
