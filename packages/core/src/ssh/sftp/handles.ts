import type { Dir } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { GangflowError } from '../../errors/base.js'

/** Files and directories that one session may hold open. */
const MOST = 1024

export interface OpenFile {
  readonly file: FileHandle
  readonly append: boolean
}

export interface OpenDirectory {
  readonly dir: Dir
  readonly path: string
}

/** What one session holds open, each by a number that only it knows. */
export class Handles {
  readonly #open = new Map<number, OpenFile | OpenDirectory>()
  #next = 1
  #over = false

  async add(opened: OpenFile | OpenDirectory): Promise<Buffer> {
    if (this.#over || this.#open.size >= MOST) {
      await closeOne(opened)
      throw new GangflowError({ code: 'E_MESH_SFTP', what: `a session holds at most ${MOST} files open` })
    }
    const number = this.#next++
    this.#open.set(number, opened)
    const handle = Buffer.alloc(4)
    handle.writeUInt32BE(number)
    return handle
  }

  file(handle: Buffer): OpenFile {
    const found = this.#get(handle)
    if (!('file' in found)) throw strange()
    return found
  }

  directory(handle: Buffer): OpenDirectory {
    const found = this.#get(handle)
    if (!('dir' in found)) throw strange()
    return found
  }

  async close(handle: Buffer): Promise<void> {
    const found = this.#get(handle)
    this.#open.delete(handle.readUInt32BE())
    await closeOne(found)
  }

  async closeAll(): Promise<void> {
    this.#over = true
    const all = [...this.#open.values()]
    this.#open.clear()
    await Promise.allSettled(all.map(closeOne))
  }

  #get(handle: Buffer): OpenFile | OpenDirectory {
    const found = handle.length === 4 ? this.#open.get(handle.readUInt32BE()) : undefined
    if (!found) throw strange()
    return found
  }
}

const closeOne = (opened: OpenFile | OpenDirectory): Promise<void> =>
  'file' in opened ? opened.file.close() : opened.dir.close()

const strange = () => new GangflowError({ code: 'E_MESH_SFTP', what: 'no such handle is open' })
