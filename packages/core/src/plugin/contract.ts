import type { Duplex } from 'node:stream'
import type { Roster } from '../current/roster.js'
import type { Duration } from '../errors/duration.js'
import type { Casualty, Cause, Verdict } from '../errors/verdict.js'
import type { GangNeeds, Resources } from '../flow/description.js'
import type { ArtifactCodec, Json } from '../flow/values.js'

/** Plugins merge their namespace here: `declare module '@gangflow/core' { interface CurrentNamespaces { torch: Torch } }`. */
// biome-ignore lint/suspicious/noEmptyInterface: declaration merging needs an interface
export interface CurrentNamespaces {}

/** How a member's body ended, as `teardown` is told. */
export type Outcome =
  | { readonly ok: true }
  | { readonly ok: false; readonly error: unknown; readonly verdict?: Verdict }

/**
 * A step decorator with behaviour. Hooks run in bodies (and `needs` in `describe`), never in an agent.
 * @typeParam O its options. @typeParam N its namespace in `current`.
 */
export interface StepPlugin<O = unknown, N extends string = string> {
  readonly name: string
  readonly apiVersion: 1
  readonly namespace?: N
  /** The names of its valid options: any other is refused where the decorator is written. Absent: all pass. */
  readonly options?: readonly (keyof O & string)[]
  /** Pure; in `describe`, once per decorated step. Throwing refuses the flow. */
  needs?(options: O): GangNeeds
  /** In every body, once, before the step's code. Its result becomes `current.<namespace>`. Throwing fails the attempt. */
  setup?(gang: GangContext, options: O): Promise<N extends keyof CurrentNamespaces ? CurrentNamespaces[N] : unknown>
  /** In every body, around the step's code; must call `next` exactly once. Throwing fails the attempt. */
  wrap?(gang: GangContext, options: O, next: () => Promise<void>): Promise<void>
  /** In every body that is still alive, after the step's code; may be skipped by a crash: what must happen goes to `atEnd`. */
  teardown?(gang: GangContext, outcome: Outcome): Promise<void>
  /** For the whole flow: a join without the decorator reads the artifact too. */
  readonly codecs?: readonly ArtifactCodec[]
  /** What `gangflow doctor` looks at on each host. */
  readonly checks?: readonly DoctorCheck<O>[]
}

/** What `gangflow doctor` looks at for a plugin: a command on each host, judged by the launcher. */
export interface DoctorCheck<O = unknown> {
  /** Of what it looks at, such as `torch`. */
  readonly name: string
  /** Pure: what is run, without input. */
  command(about: DoctorPlace<O>): readonly string[]
  /** Of the command's end: says what was found, such as a version; throws a GangflowError that says the fix. */
  judge(end: DoctorEnd, about: DoctorPlace<O>): string
  /** True: hosts that answer differently are told of. */
  readonly alike?: boolean
  /** Default 60 s. */
  readonly timeout?: Duration
  /** Between hosts on which the check itself is well and that reach each other, two at a time. */
  readonly pair?: DoctorPairCheck<O>
}

/** What is tried between each two hosts, above 64 of them between the neighbours of a ring and some more. */
export interface DoctorPairCheck<O = unknown> {
  /**
   * Pure: what is run on the first of them, without input. What it prints after `@other ` at the beginning of a line is run
   * on the other one, by its shell; that is ended with it. So a launcher needs no remote shell of its own.
   */
  command(about: DoctorPlace<O>, between: DoctorPair): readonly string[]
  /** Of the command's end; throws a GangflowError that says the fix. */
  judge(end: DoctorEnd, between: DoctorPair): string
  /** Default 30 s. */
  readonly timeout?: Duration
}

/** Each with the address at which the other one has just reached it. */
export interface DoctorPair {
  readonly from: { readonly name: string; readonly address: string }
  readonly to: { readonly name: string; readonly address: string }
}

export interface DoctorPlace<O = unknown> {
  /** What the decorator was given on a step of the flow; `{}` where no flow is named. */
  readonly options: O
  /** The interpreter that the hosts file names for the host. */
  readonly python?: string
  /** On the machine that launches: folder of the flow, or the current one. Absent: a host over SSH. */
  readonly flowDir?: string
}

export interface DoctorEnd {
  /** Null: a signal, no such program, or its time was over; `stderr` says which. */
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

/** All nodes, or these. */
export type Nodes = 'all' | 'others' | readonly number[]

export interface Command {
  /** Name for logs and verdict, unique among the running; default the program's name. */
  readonly name?: string
  readonly argv: readonly string[]
  /** Added to the member's environment; `{node}` is not expanded: use `perNode`. */
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly stdin?: Uint8Array
  /** The framework's rank of this process, for the verdict. */
  readonly rank?: number
  /** Milliseconds between TERM and KILL; default the gang's `stopGrace`. */
  readonly stopGraceMs?: number
  /** True: a service of the step's own processes, with nothing to save at its end: `stopGraceMs` is all it has, however long a cancelled step may take. */
  readonly service?: boolean
  /** False: its output is not shown live. Default true. */
  readonly show?: boolean
}

export interface CommandResult {
  readonly node: number
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  /** Complete up to 1 MiB each, then its end; whole in the log. */
  readonly stdout: string
  readonly stderr: string
  readonly durationMs: number
}

/** A command running on one or more members. */
export interface GangProcess {
  /** One per node, settled when all have ended. Never rejects for a non-zero exit. */
  readonly ended: Promise<readonly CommandResult[]>
  /** Lines as they come. */
  onLine(listener: (line: { node: number; stream: 'stdout' | 'stderr'; text: string }) => void): void
  signal(signal: NodeJS.Signals): Promise<void>
  /** Ends it with all its descendants; also those that one which has ended left behind. */
  stop(): Promise<void>
}

export interface CallOptions {
  /** Default: the collective timeout of the gang (10 min). The error names whom it waited for. */
  readonly timeout?: Duration
  readonly signal?: AbortSignal
}

/** `current.parallel` (DESIGN D5). Collectives are matched by order of call and `name`; values are JSON or bytes. */
export interface Parallel {
  readonly numNodes: number
  readonly nodeIndex: number
  /** The control's address as peers reach it. */
  readonly mainIp: string
  readonly controlTaskId: string
  readonly attempt: number
  readonly epoch: number
  readonly roster: Roster
  readonly isControl: boolean
  barrier(name?: string, options?: CallOptions): Promise<void>
  /** The value of `from` (default the control) on every member. */
  broadcast<T>(value: T, options?: CallOptions & { readonly from?: number }): Promise<T>
  /** Everyone's value, in node order, on every member. */
  allGather<T>(value: T, options?: CallOptions): Promise<T[]>
  readonly kv: KeyValue
  /** What outlives an epoch: a step that begins again after a loss, or in its next attempt, goes on from it. */
  readonly checkpoint: Checkpoints
  /** Runs a command on members and waits; a non-zero exit is in the result, not thrown. */
  exec(nodes: Nodes, command: Command | readonly string[], options?: CallOptions): Promise<readonly CommandResult[]>
  /** From this member to the same path under each other member's working directory. */
  copy(file: string, options?: CallOptions & { readonly to?: string; readonly nodes?: Nodes }): Promise<void>
}

/** Values that the members keep for the step's next beginning, in the datastore: no disk of a lost host is needed. */
export interface Checkpoints {
  /**
   * Keeps a value (JSON, bytes, typed arrays) under a name that all members share: one of them saves it, or each has a
   * name of its own. The last one saved counts; it is on disk when the promise settles.
   */
  save(name: string, value: unknown): Promise<void>
  /** The last value of that name, of this epoch, else of those and of the attempts before; undefined when there is none. */
  load<T>(name: string): Promise<T | undefined>
}

export interface KeyValue {
  set(key: string, value: Json): Promise<void>
  /** Waits until the key is set. */
  get(key: string, options?: CallOptions): Promise<Json>
  /** Now, or undefined. */
  peek(key: string): Promise<Json | undefined>
}

/** What plugins build on: `current.parallel` and what only a launcher of processes needs. */
export interface GangContext extends Parallel {
  /** Aborted when the gang stops. */
  readonly signal: AbortSignal
  readonly step: string
  readonly taskId: string
  readonly resources: Resources
  /** Directory of this attempt on this member, removed at its end. */
  readonly temp: string
  /** Folder of the flow file: the body's working directory. */
  readonly flowDir: string
  /**
   * A folder of this attempt in the run's datastore, at the same path on every member; made by this call, kept as long
   * as the run is. Undefined: the members' hosts do not see the datastore's disk.
   */
  sharedFolder(): string | undefined
  /** 32 bytes derived by HKDF from the gang's secret; equal on all members, the secret itself never reaches a body. */
  key(label: string): Promise<Uint8Array>
  reservePort(name: string, node?: number): Promise<GangPort>
  connect(node: number, channel: string): Promise<Duplex>
  listen(channel: string): AsyncIterable<Duplex>
  start(nodes: Nodes, command: Command | ((node: number) => Command)): Promise<GangProcess>
  /** The gang's remote shell, as seen from this member; made ready at the first call. */
  shell(): Promise<GangShell>
  /**
   * Declared before the thing is made; whoever ends the member performs it, also after the body's death. `nodes`: on
   * these members (default: this one), each at its own end.
   */
  atEnd(undo: Undo, options?: { readonly nodes?: Nodes }): Promise<void>
  /** Records what a plugin performs (D6), under the task. */
  record(name: string, request: Json): Promise<void>
  /** Ends the gang with this account as first cause, unless an earlier one is known. `cause`: default as its signal tells, `user` where it has none. */
  fail(casualty: Casualty, cause?: Cause): Promise<void>
  /** Collects the files of a directory on this member as an artifact of this node. */
  collect(artifact: string, directory: string): Promise<void>
  /** For whoever watches the run (event `progress`); a text in `line` is shown in the live view as this member's last line. */
  progress(data: Json): void
}

/** For programs that start others on hosts by a remote shell; it reaches the gang's members and nobody else. */
export interface GangShell {
  /** A program to be called as `ssh` is: `[options] HOST COMMAND…`. On PATH of `env` it is `gangflow-shim`. */
  readonly shim: string
  /** For `ssh -F`, `scp -F`, `rsync -e`: for programs that must have OpenSSH. */
  readonly config: string
  /** Socket of an ssh-agent that holds the gang's key (SSH_AUTH_SOCK). */
  readonly agent: string
  /** To be added to the environment of the program: by it the shim finds its way, and a remote one its own. */
  readonly env: Readonly<Record<string, string>>
  /** Tells each channel that this member's shim opens, at its begin and at its end; those of before too. */
  onChannel(listener: (channel: GangShellChannel) => void): void
}

/** One command that a program on this member ran on another through the shim. */
export interface GangShellChannel {
  readonly id: number
  readonly node: number
  /** As the program called it. */
  readonly host: string
  readonly command: string
  readonly state: 'open' | 'ended'
  /** How the command ended; absent when the channel broke, or never came to be. */
  readonly exit?: { readonly code: number | null; readonly signal: NodeJS.Signals | null }
  readonly error?: string
}

export type Undo =
  | { readonly run: Command }
  | { readonly remove: string }
  | { readonly kill: { readonly marker: string } }

export interface GangPort {
  readonly node: number
  readonly port: number
  release(): Promise<void>
}
