import type { SourceLocation } from '../errors/base.js'
import type { Cause } from '../errors/verdict.js'

/**
 * What the `describe` process says of a flow: plain JSON, nothing live (DESIGN D14).
 * Launcher, command line, backends and agents know the flow by this alone.
 */
export interface FlowDescription {
  readonly protocol: 1
  /** The class's name. */
  readonly name: string
  readonly doc?: string
  /** Absolute path of the person's source file. */
  readonly file: string
  readonly parameters: readonly ParameterDescription[]
  /** In order of declaration. */
  readonly steps: readonly StepDescription[]
  /** Everything wrong with the graph; empty for a flow that may run. */
  readonly complaints: readonly Complaint[]
}

/** One thing wrong with a flow, found before anything runs. */
export interface Complaint {
  readonly code: string
  readonly step?: string
  readonly location?: SourceLocation
  readonly what: string
  readonly fix: string
}

export type ParameterKind = 'string' | 'number' | 'boolean' | 'enum' | 'json' | 'file'

export interface ParameterDescription {
  /** The field's name; the flag is its kebab-case. */
  readonly name: string
  readonly kind: ParameterKind
  readonly help?: string
  readonly required: boolean
  /** JSON-able default; absent when there is none. */
  readonly default?: unknown
  /** For `enum`. */
  readonly choices?: readonly string[]
  /** For `file`: the flow gets text; absent: bytes. */
  readonly encoding?: 'utf8'
}

/** A step's one `this.next(…)`, read from its source. */
export type Transition =
  | { readonly kind: 'end' }
  | { readonly kind: 'linear'; readonly target: string }
  | { readonly kind: 'branch'; readonly targets: readonly string[] }
  | { readonly kind: 'foreach'; readonly target: string; readonly artifact: string; readonly reuse: boolean }
  /** `size` is the literal `numParallel`, or null when only the step can compute it. */
  | { readonly kind: 'gang'; readonly target: string; readonly size: number | null }
  | { readonly kind: 'switch'; readonly cases: Readonly<Record<string, string>>; readonly condition: string }

/** Why an attempt failed that may be tried again: every cause but a person's cancel. */
export type RetriedCause = Exclude<Cause, 'cancelled'>

export interface RetryPolicy {
  /** Further attempts after the first, together for all causes that have no budget of their own. */
  readonly times: number
  /** Further attempts after failures of one cause, counted apart. */
  readonly budgets?: { readonly [C in RetriedCause]?: number }
  readonly delayMs: number
  /** Factor by which the delay grows from attempt to attempt. */
  readonly backoff: number
}

export interface Resources {
  readonly cpu?: number
  readonly gpu?: number
  /** MiB. */
  readonly memory?: number
}

/** A plugin's decorator on a step, as plain data. */
export interface PluginUse {
  /** The plugin's name, such as `torchrun`. */
  readonly name: string
  readonly namespace?: string
  /** Its options, JSON-able. */
  readonly options: unknown
  readonly needs: GangNeeds
}

/** What a plugin needs of the gang, computed by its pure `needs()` in `describe`. */
export interface GangNeeds {
  /** Which members run the step's body. Default `all`. */
  readonly body?: 'all' | 'control'
  /** Executables that must be on PATH of every member. */
  readonly executables?: readonly string[]
  readonly ssh?: boolean
  /** Named ports that are reserved before the body starts. */
  readonly ports?: readonly string[]
  /** True for a decorator that makes its step a gang step. Default true. */
  readonly gang?: boolean
}

/** Every need that this core acts on; another one is refused rather than not met. */
export const knownNeeds: readonly string[] = [
  'body',
  'executables',
  'ssh',
  'ports',
  'gang',
] satisfies (keyof GangNeeds)[]

/** How long a gang waits for what. Milliseconds. */
export interface GangTimeouts {
  /** Phase: the backend gets the hosts and starts an agent for each member. Default 10 min. */
  readonly provision: number
  /** Phase: from then until every agent has joined. Default 60 s; also for code that stops coming. */
  readonly join: number
  /** Phase: from the opening of the epoch until every body runs its step: its start, the plugins' set-up. Default 10 min. */
  readonly setup: number
  /** Phase: the plugins' teardown on each member. Default 5 min. What the step itself may take is `@timeout`'s. */
  readonly teardown: number
  /** Watchdog: no line of output, no collective and no `progress()` of a member for so long. Default: off. */
  readonly progress?: number
  /** Of a collective that was given no own timeout. Default 10 min. */
  readonly collective: number
  /** Silence after which a member counts as lost. Default 5 s. */
  readonly lease: number
  /** Silence of a launcher that is paused (Ctrl-Z, a closed lid) after which its gang ends itself. Default 2 min. */
  readonly launcher: number
  /** Waiting for other causes after the first failure was heard of. Default 300. */
  readonly settle: number
  /** Between TERM and KILL after a failure. Default 500. */
  readonly stopGrace: number
  /** How long agents stay until logs and accounts are acknowledged. Default 30 s. */
  readonly linger: number
}

export interface GangOptions {
  /** Members with which the gang is formed again after a loss. Default, with `maxRestarts`: all of them. */
  readonly minNodes?: number
  /** How often it is formed again in one attempt. Default, with `minNodes`: 3. */
  readonly maxRestarts?: number
  readonly timeouts?: Partial<GangTimeouts>
}

export interface StepDescription {
  readonly name: string
  readonly doc?: string
  readonly location: SourceLocation
  /** SHA-256 of what decides the step's shape for `resume`: name, transition, argument, plugins and `catchError`; not its code. */
  readonly shape: string
  readonly transition: Transition
  /** True when it takes `inputs`: it joins a split, a foreach or a gang. */
  readonly join: boolean
  /** The steps that lead here. */
  readonly from: readonly string[]
  /** The split step whose branches this join closes. */
  readonly closes?: string
  readonly retry?: RetryPolicy
  /** The artifact that receives the error; the step's failure is then no failure of the run. */
  readonly catchError?: { readonly artifact?: string }
  readonly timeoutMs?: number
  readonly resources: Resources
  readonly environment: Readonly<Record<string, string>>
  /** Present on a gang step. */
  readonly gang?: GangOptions
  readonly plugins: readonly PluginUse[]
}
