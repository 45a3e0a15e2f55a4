import { sizeText } from '../compile/package/size-limit.js'
import type { PackageSummary } from '../compile/package/summary.js'
import type { Style } from './style.js'

/** Parts that are shown; the rest is summed. */
const SHOWN = 20

/** What would travel to the hosts, for people. */
export function packageLines({ files, bytes, limit, parts, largest }: PackageSummary, style: Style): string[] {
  const size = `${files} files, ${sizeText(bytes)}`
  const lines = [`${style.bold('code')} ${bytes > limit ? style.red(`${size}: more than ${sizeText(limit)}`) : size}`]
  const width = Math.max(...parts.slice(0, SHOWN).map(({ name, version = '' }) => `${name} ${version}`.length))
  for (const part of parts.slice(0, SHOWN)) {
    const name = `${part.name} ${part.version ?? ''}`.padEnd(width)
    lines.push(`  ${name} ${style.dim(`${part.files} files, ${sizeText(part.bytes)}`)}`)
  }
  const rest = parts.slice(SHOWN)
  if (rest.length > 0) {
    const sum = rest.reduce((total, part) => total + part.bytes, 0)
    lines.push(style.dim(`  … and ${rest.length} more, ${sizeText(sum)}`))
  }
  const most = largest.slice(0, 5).map(({ name, bytes: own }) => `${name} ${sizeText(own)}`)
  lines.push(`  ${style.dim('largest')} ${most.join(', ')}`)
  return lines
}
