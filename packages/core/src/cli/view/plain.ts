import prettyMs from 'pretty-ms'
import { sizeText } from '../../compile/package/size-limit.js'
import type { RunEvent, StepPlan, TaskId } from '../../runtime/contract.js'
import { factLines, verdictLines } from '../failure.js'
import { packageLines } from '../package-text.js'
import { clock, hue, type Style } from '../style.js'

/** `train/1`, with the attempt from the second on (`train/1.1`), and the node of a gang. */
export function labelOf(event: TaskId & { readonly node?: number; readonly process?: string }): string {
  const attempt = event.attempt > 0 ? `.${event.attempt}` : ''
  const node = event.node === undefined ? '' : `:${event.node}`
  const process = event.process === undefined || event.process === 'body' ? '' : `:${event.process}`
  return `${event.step}/${event.task}${attempt}${node}${process}`
}

/** The lines of an event in a plain log; empty for what is of no interest there. */
export function plainLines(event: RunEvent, style: Style): string[] {
  const time = style.dim(clock(event.at))
  const say = (label: string, text: string): string => `${time} ${hue(style, label.split(/[/.:]/)[0]!)(label)} ${text}`
  switch (event.type) {
    case 'run-started': {
      const from = event.origin === undefined ? '' : `, resumed from ${event.origin}`
      const { attached } = event
      if (attached)
        return [
          `${time} ${style.bold(`${event.flow}/${event.run}`)} attached: ${attached.done} tasks done, ${attached.begun} in jobs`,
        ]
      return [`${time} ${style.bold(`${event.flow}/${event.run}`)} started${from}`]
    }
    case 'attaching':
      return [`${time} ${style.dim(event.text)}`]
    case 'task-started':
      return [say(labelOf(event), style.dim('started'))]
    case 'task-reused':
      return [say(labelOf(event), style.dim(`reused from run ${event.origin}`))]
    case 'task-done': {
      const caught = event.caught === true ? ' (its failure was caught)' : ''
      return [say(labelOf(event), style.dim(`done in ${prettyMs(event.durationMs)}${caught}`))]
    }
    case 'task-failed': {
      const again = event.retryInMs === undefined ? '' : `; next attempt in ${prettyMs(event.retryInMs)}`
      const account = verdictLines(event.verdict, style)
      return [say(labelOf(event), `${style.red('failed')}${again}`), ...account.map((line) => `  ${line}`)]
    }
    case 'task-cancelled':
      return [say(labelOf(event), style.yellow('stopped'))]
    case 'member':
      return event.state === 'failed' ? [say(labelOf(event), `${style.red(event.state)} on ${event.host}`)] : []
    case 'note':
      return [say(labelOf(event), style.dim(event.host === undefined ? event.text : `${event.host}: ${event.text}`))]
    case 'epoch': {
      const left = event.restartsLeft === 1 ? 'once more' : `${event.restartsLeft} times more`
      const how = `${event.members} members are left; forming epoch ${event.epoch} (${event.restartsLeft === 0 ? 'the last' : left})`
      return [...event.lost, how].map((text) => say(labelOf(event), style.yellow(text)))
    }
    case 'code': {
      if (event.whole !== true) return []
      const moved = event.moved === 0 ? 'all of it there already' : `${sizeText(event.moved)} sent`
      const what = event.phase === 'pack' ? `code ${sizeText(event.bytes)}, ${event.files} files` : 'has the code'
      return [say(labelOf(event), style.dim(`${what} (${event.phase === 'pack' ? storedText(event.moved) : moved})`))]
    }
    case 'line': {
      const skipped =
        event.skipped === undefined || event.skipped === 0
          ? []
          : [say(labelOf(event), style.dim(`… ${event.skipped} lines not shown; gangflow logs has them all`))]
      return [...skipped, say(labelOf(event), style.dim('│ ') + event.text)]
    }
    case 'plan':
      return planLines(event.plan, style)
    case 'package':
      return packageLines(event.summary, style)
    case 'stopping':
      return [`${time} ${style.yellow(`stopping: ${event.reason}`)}`]
    case 'run-ended':
      return endLines(event, style)
    default:
      return []
  }
}

const storedText = (moved: number): string => (moved === 0 ? 'unchanged' : `${sizeText(moved)} new, compressed`)

function endLines({ at, result }: RunEvent & { type: 'run-ended' }, style: Style): string[] {
  const colour = colours(style)[result.status]
  const lines = [
    `${style.dim(clock(at))} ${style.bold(`${result.flow}/${result.run}`)} ${colour(result.status)} in ${prettyMs(result.durationMs)}`,
  ]
  if (result.error !== undefined && result.error.verdict === undefined) lines.push(...factLines(result.error, style))
  if (result.status === 'detached') {
    const jobs = result.jobs ?? []
    const going =
      jobs.length === 0
        ? 'no job of it is left'
        : `${jobs.length === 1 ? 'job' : 'jobs'} ${jobs.join(', ')} of it go${jobs.length === 1 ? 'es' : ''} on`
    lines.push(`  ${going}; what comes after that begins once somebody attaches`)
    lines.push(`  ${style.green('next')} gangflow attach ${result.flow}/${result.run}`)
  }
  return lines
}

const colours = (style: Style) => ({
  done: style.green,
  failed: style.red,
  cancelled: style.yellow,
  detached: style.cyan,
  'taken-over': style.red,
})

/** What one step would be started with (`--dry-run`). */
function planLines(
  { step, kind, request, resources, environment, plugins, ...more }: StepPlan,
  style: Style,
): string[] {
  const size = 'size' in more && more.size !== undefined ? ` of ${more.size}` : ''
  const facts = {
    request,
    resources,
    environment,
    retry: more.retry,
    timeouts: { ...(more.timeoutMs === undefined ? {} : { step: more.timeoutMs }), ...more.gangTimeouts },
    ...Object.fromEntries(plugins.map(({ name, ...use }) => [name, use])),
  }
  const told = Object.entries(facts).filter(([, fact]) => Object.keys((fact as object | null) ?? {}).length > 0)
  return [
    `${hue(style, step)(step)} ${style.dim(`${kind}${size}`)}`,
    ...told.flatMap(([name, fact]) => {
      const { script, ...rest } = fact as { readonly script?: unknown }
      // As it is handed over, line by line.
      const lines =
        typeof script === 'string'
          ? script
              .trimEnd()
              .split('\n')
              .map((line) => `    ${line}`)
          : []
      return [`  ${style.dim(name)} ${JSON.stringify(lines.length > 0 ? rest : fact)}`, ...lines]
    }),
  ]
}
