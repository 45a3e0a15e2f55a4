import type { ErrorFacts } from '../errors/base.js'
import type { FlowDescription } from '../flow/description.js'

/** What the describe process reads as JSON on its stdin, to end of file. */
export interface DescribeRequest {
  readonly protocol: 1
  /** Absolute path of the bundle. */
  readonly bundle: string
  /** Absolute path of the person's file. */
  readonly file: string
  /** The person's files that the bundle is made of. */
  readonly sources: readonly string[]
}

/** What it writes as one line of JSON on file descriptor 3: stdout and stderr are the person's. */
export type DescribeReply =
  | { readonly protocol: 1; readonly description: FlowDescription; readonly trace: LoadTrace }
  | { readonly protocol: 1; readonly error: ErrorFacts }

export const replyFd = 3

/** On what, besides its code, the description may depend: see `load-trace.ts`. */
export interface LoadTrace {
  /** Each environment variable that was read, with its value; null for one that is not set. */
  readonly env: Readonly<Record<string, string | null>>
  /** Everything else that was looked at and may differ next time, such as `fs.readFileSync`. */
  readonly impure: readonly string[]
}
