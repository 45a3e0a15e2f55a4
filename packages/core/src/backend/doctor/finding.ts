export type Status = 'ok' | 'info' | 'warn' | 'fail'

/** One thing that the doctor looked at. */
export interface Finding {
  /** `disk`, `ports`, `torchrun: torch`. */
  readonly check: string
  readonly status: Status
  /** What is there, or what is wrong. */
  readonly found: string
  /** What to do about it; with `warn` and `fail`. */
  readonly fix?: string
  /** As the person names it; absent: this machine, or all hosts together. */
  readonly host?: string
}

export const worst = (findings: readonly Finding[]): Status =>
  (['fail', 'warn', 'info'] as const).find((status) => findings.some((finding) => finding.status === status)) ?? 'ok'

/** `512 MB`, `71 GB`. */
export function bytesText(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB', 'PB']
  let at = 0
  let value = bytes
  for (; value >= 1000 && at < units.length - 1; at++) value /= 1000
  return `${value < 10 && at > 0 ? value.toFixed(1) : Math.round(value)} ${units[at]}`
}
