import cliTruncate from 'cli-truncate'
import { createLogUpdate } from 'log-update'
import prettyMs from 'pretty-ms'
import { sizeText } from '../../compile/package/size-limit.js'
import type { Json } from '../../flow/values.js'
import { barText } from '../../parallel-map/bar.js'
import type { MapProgress } from '../../parallel-map/contract.js'
import type { MemberState, RunEvent, TaskId } from '../../runtime/contract.js'
import { hue, type Style } from '../style.js'
import { labelOf, plainLines } from './plain.js'

interface Row {
  readonly id: TaskId
  readonly since: number
  lastLine: string
  /** Which of the maps that run at once is shown. */
  map?: number | undefined
  gangSize: number | undefined
  readonly members: Map<number, Member>
}

interface Member {
  readonly state: MemberState
  readonly since: number
  lastLine: string
  map?: number | undefined
}

/** What a map's bar may take of a row. */
const mapColumns = 72
/** Gang members shown one by one at most; more are summed up by state. */
const MEMBER_ROWS = 16

/**
 * The view on a terminal: finished news scrolls above; below, one row for each running task and gang member
 * with state, elapsed time and last line, redrawn a few times a second.
 */
export class LiveView {
  readonly #rows = new Map<string, Row>()
  readonly #update: ReturnType<typeof createLogUpdate>
  readonly #timer: NodeJS.Timeout
  #pending: string[] = []
  #queued = 0
  #done = 0

  constructor(
    private readonly stream: NodeJS.WriteStream,
    private readonly style: Style,
  ) {
    this.#update = createLogUpdate(stream)
    this.#timer = setInterval(() => this.#draw(), 120)
    this.#timer.unref()
  }

  show(event: RunEvent): void {
    this.#note(event)
    const lines = plainLines(event, this.style)
    if (event.type !== 'task-started') this.#pending.push(...lines)
    if (event.type === 'run-ended' || event.type === 'task-failed' || event.type === 'stopping') this.#draw()
  }

  /** Leaves the terminal as it should be; call once, whatever happened. */
  close(): void {
    clearInterval(this.#timer)
    this.#rows.clear()
    this.#draw()
    this.#update.clear()
    this.#update.done()
  }

  #note(event: RunEvent): void {
    if (event.type === 'run-started') this.#done = event.attached?.done ?? 0
    if (!('task' in event)) return
    const key = `${event.step}/${event.task}`
    switch (event.type) {
      case 'task-queued':
        this.#queued++
        break
      case 'task-started':
        this.#queued = Math.max(0, this.#queued - 1)
        this.#rows.set(key, { id: event, since: event.at, lastLine: '', gangSize: undefined, members: new Map() })
        break
      case 'member': {
        const row = this.#rows.get(key)
        const known = row?.members.get(event.node)
        row?.members.set(event.node, {
          ...known,
          state: event.state,
          lastLine: known?.lastLine ?? '',
          since: known?.since ?? event.at,
        })
        break
      }
      case 'note': {
        const row = this.#rows.get(key)
        if (row !== undefined) row.lastLine = event.host === undefined ? event.text : `${event.host}: ${event.text}`
        break
      }
      case 'epoch': {
        const row = this.#rows.get(key)
        // Nodes that are not in the next epoch are no more; the others say anew what they are at.
        row?.members.clear()
        break
      }
      case 'code': {
        const row = this.#rows.get(key)
        const member = event.node === undefined ? undefined : row?.members.get(event.node)
        const text = event.whole ? '' : `its code comes: ${sizeText(event.moved)}`
        if (member !== undefined) member.lastLine = text
        else if (row !== undefined) row.lastLine = text
        break
      }
      case 'line': {
        const row = this.#rows.get(key)
        const member = event.node === undefined ? undefined : row?.members.get(event.node)
        if (member !== undefined) member.lastLine = event.text
        else if (row !== undefined) row.lastLine = event.text
        break
      }
      case 'progress': {
        const row = this.#rows.get(key)
        const shown = (event.node === undefined ? undefined : row?.members.get(event.node)) ?? row
        if (shown !== undefined) shown.lastLine = progressText(event.data, shown) ?? shown.lastLine
        break
      }
      case 'task-done':
        this.#done++
        this.#rows.delete(key)
        break
      case 'task-failed':
      case 'task-cancelled':
        this.#rows.delete(key)
        break
      default:
    }
  }

  #draw(): void {
    if (this.#pending.length > 0) {
      this.#update.clear()
      this.stream.write(`${this.#pending.join('\n')}\n`)
      this.#pending = []
    }
    const rows = this.#screen()
    if (rows.length > 0) this.#update(rows.join('\n'))
    else this.#update.clear()
  }

  #screen(): string[] {
    const { style } = this
    const width = this.stream.columns || 80
    const height = Math.max(4, (this.stream.rows || 24) - 6)
    const now = Date.now()
    const lines: string[] = []
    for (const row of this.#rows.values()) {
      const label = labelOf(row.id)
      const head = `${style.cyan('●')} ${hue(style, row.id.step)(label)} ${style.dim(elapsed(now - row.since))}`
      lines.push(cliTruncate(`${head} ${style.dim(row.lastLine)}`, width))
      lines.push(...this.#memberLines(row, now).map((line) => cliTruncate(line, width)))
    }
    if (lines.length === 0) return []
    const shown =
      lines.length > height ? [...lines.slice(0, height), style.dim(`… ${lines.length - height} more`)] : lines
    const waiting = this.#queued > 0 ? `, ${this.#queued} waiting` : ''
    return [...shown, style.dim(`${this.#rows.size} running${waiting}, ${this.#done} done`)]
  }

  #memberLines(row: Row, now: number): string[] {
    const { style } = this
    const members = [...row.members].sort(([a], [b]) => a - b)
    if (members.length > MEMBER_ROWS) {
      const counts = new Map<MemberState, number>()
      for (const [, { state }] of members) counts.set(state, (counts.get(state) ?? 0) + 1)
      return [`   ${members.length} members: ${[...counts].map(([state, count]) => `${count} ${state}`).join(', ')}`]
    }
    return members.map(([node, { state, lastLine, since }]) => {
      const mark = state === 'failed' ? style.red(state) : state === 'done' ? style.green(state) : state
      return `   ${style.dim('node')} ${node} ${mark} ${style.dim(elapsed(now - since))} ${style.dim(lastLine)}`
    })
  }
}

/**
 * What a plugin says in `line`, or how far a step's map is; undefined for progress of another kind. Of maps that run at
 * once the first one is shown until it ends: in turns they could not be read.
 */
function progressText(data: Json, shown: Row | Member): string | undefined {
  if (typeof data !== 'object' || data === null) return undefined
  if ('line' in data && typeof data['line'] === 'string') return data['line']
  if (!('map' in data)) return undefined
  const progress = data['map'] as unknown as MapProgress
  if (shown.map !== undefined && shown.map !== progress.map) return undefined
  shown.map = progress.ended ? undefined : progress.map
  return barText(progress, mapColumns)
}

const elapsed = (ms: number): string => prettyMs(Math.max(0, ms), { secondsDecimalDigits: 0 })
