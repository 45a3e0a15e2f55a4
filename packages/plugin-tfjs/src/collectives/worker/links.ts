import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Place } from '../contract.js'
import { neighbours } from '../plan.js'
import { type Door, OTHER_SECRET, openDoor } from './accept.js'
import { Control } from './control.js'
import { dial, Refusal, targetsOf } from './dial.js'
import type { Engine } from './engine.js'
import type { Group } from './handshake.js'
import { InLink } from './in-link.js'
import { OutLink } from './out-link.js'
import type { WorkerStart } from './protocol.js'

/** A rank that is not there yet is tried again so often. */
const RETRY_MS = 25
const CONTROL_BYTES = 64 * 1024

/** All connections of a rank: those it dials bring data, those it answers take data away. */
export class Links {
  private door: Door | undefined
  private settle: () => void = () => {}
  private over = false
  /** Why a rank is not connected, as last seen. */
  private readonly trouble = new Map<number, string>()
  private readonly wanted: { readonly from: number[]; readonly to: number[] }
  private readonly left: number
  private readonly right: number

  constructor(
    private readonly start: WorkerStart,
    private readonly engine: Engine,
  ) {
    const { rank, size } = start
    this.wanted = neighbours(rank, size)
    this.left = (rank + size - 1) % size
    this.right = (rank + 1) % size
  }

  async listen(): Promise<{ path?: string; port?: number }> {
    const { rank, listen } = this.start
    this.door = await openDoor(listen, {
      rank,
      group: this.group,
      admit: (socket, from, kind) => this.admit(socket, from, kind),
      turnedAway: (from, why) => this.trouble.set(from, why),
    })
    return this.door
  }

  /** Settles when every connection stands. Rejects with a `Refusal`. */
  async connect(places: readonly Place[]): Promise<void> {
    const { rank, connectTimeoutMs } = this.start
    const { machine } = places[rank]!
    const deadline = performance.now() + connectTimeoutMs
    let timer: NodeJS.Timeout | undefined
    try {
      await new Promise<void>((resolve, reject) => {
        this.settle = () => this.missing().length === 0 && resolve()
        timer = setTimeout(() => reject(this.tooLate()), connectTimeoutMs)
        const dials = [
          ...this.wanted.from.map((from) => this.dialData(from, targetsOf(places[from]!, machine), deadline)),
          this.dialControl(targetsOf(places[this.left]!, machine), deadline),
        ]
        for (const one of dials) one.catch(reject)
      })
    } finally {
      clearTimeout(timer)
      this.over = true
      this.door?.close()
    }
  }

  cutData(): void {
    for (const { socket } of this.engine.outs.values()) socket.destroy()
    for (const { socket } of this.engine.ins.values()) socket?.destroy()
  }

  private get group(): Group {
    const { size, secret, name, version } = this.start
    return { size, secret, name, version }
  }

  private admit(socket: Socket, from: number, kind: 'data' | 'control'): boolean {
    const { engine } = this
    const space = this.start.layout.outgoing.get(from)
    if (this.over || (kind === 'data' ? space === undefined : from !== this.right)) return false
    if (kind === 'data') {
      engine.outs.get(from)?.socket.destroy()
      engine.outs.set(from, new OutLink(from, socket, engine.view, space!))
    } else {
      const control = new Control(from, 'right', socket, engine)
      socket.on('data', (chunk) => control.take(chunk))
      socket.resume()
      engine.controls.push(control)
    }
    this.settle()
    return true
  }

  private async dialData(from: number, targets: ReturnType<typeof targetsOf>, deadline: number): Promise<void> {
    const link = new InLink(from, this.start.layout.incoming.get(from)!, this.engine.view, this.engine)
    const socket = await this.persist(from, 'data', targets, deadline, link)
    if (!socket) return
    link.socket = socket
    socket.once('end', () => link.end())
    socket.once('close', () => link.end())
    this.engine.ins.set(from, link)
    if (socket.destroyed) link.end()
    this.settle()
  }

  private async dialControl(targets: ReturnType<typeof targetsOf>, deadline: number): Promise<void> {
    const buffer = new Uint8Array(CONTROL_BYTES)
    let control: Control | undefined
    const reader = {
      room: () => buffer,
      read: (count: number) => {
        control?.take(Buffer.from(buffer.buffer, 0, count))
        return true
      },
    }
    const socket = await this.persist(this.left, 'control', targets, deadline, reader)
    if (!socket) return
    control = new Control(this.left, 'left', socket, this.engine)
    this.engine.controls.push(control)
    this.settle()
  }

  private async persist(
    to: number,
    kind: 'data' | 'control',
    targets: ReturnType<typeof targetsOf>,
    deadline: number,
    reader: Parameters<typeof dial>[3],
  ): Promise<Socket | undefined> {
    const parties = { from: this.start.rank, to, kind }
    if (targets.length === 0) this.trouble.set(to, 'it told no address that can be reached from here')
    for (let wait = RETRY_MS; !this.over && performance.now() < deadline; wait = Math.min(wait * 1.5, 500)) {
      for (const target of targets) {
        try {
          return await dial(target, parties, this.group, reader)
        } catch (error) {
          if (error instanceof Refusal) throw error
          if (this.trouble.get(to) !== OTHER_SECRET) this.trouble.set(to, (error as Error).message)
        }
      }
      await sleep(wait)
    }
    return undefined
  }

  private missing(): number[] {
    const { ins, outs, controls } = this.engine
    const sides = new Set(controls.map(({ side }) => side))
    return [
      ...new Set([
        ...this.wanted.from.filter((from) => !ins.has(from)),
        ...this.wanted.to.filter((to) => !outs.has(to)),
        ...(sides.has('left') ? [] : [this.left]),
        ...(sides.has('right') ? [] : [this.right]),
      ]),
    ].sort((a, b) => a - b)
  }

  private tooLate(): Refusal {
    const missing = this.missing()
    const why = missing.map((rank) => `rank ${rank} (${this.trouble.get(rank) ?? 'it did not come'})`).join(', ')
    const what = `rank ${this.start.rank} is not connected with all others after ${this.start.connectTimeoutMs / 1000} s: ${why}`
    const secret = missing.some((rank) => this.trouble.get(rank) === OTHER_SECRET)
    const about = secret
      ? { code: 'E_TF_SECRET', what, fix: 'give every rank the same `secret` and `name`' }
      : {
          code: 'E_TF_CONNECT',
          what,
          fix: 'start every rank, give all the same addresses, and see that a firewall lets them through',
        }
    return new Refusal({
      ...about,
      ...(missing[0] === undefined ? {} : { rank: missing[0] }),
    })
  }
}
