import type { Socket } from 'node:net'
import type { Duplex, Readable, Writable } from 'node:stream'

/**
 * The mesh: members that reach each other over SSH with keys that all of them derive and nobody exchanges (DESIGN D2).
 * This room knows no gang: it is given member ids, a way to derive keys, and somebody who starts processes.
 */
export interface Mesh {
  readonly memberId: string
  /** Where it listens: `ssh://ID@HOST:PORT[,HOST:PORT…][,/PATH]`; rejects with `E_MESH_LISTEN`. A second call gives the same. */
  listen(place: ListenPlace): Promise<string>
  /** What others may do here from now on. Without it only the control subsystem is served. */
  serve(host: MeshHost): void
  /** Takes the channels of the control subsystem; who comes earlier waits. */
  onControl(take: (stream: Duplex, from: string) => void): void
  /**
   * Which of a member's places serve, each with the whole handshake. Default: the first that answers, on the connection
   * that later channels share; `each`: all of them, on connections that end at once. Never rejects for who does not answer.
   */
  probe(target: Target, options: ProbeOptions): Promise<readonly Probed[]>
  /** A channel to the control subsystem of a member. */
  open(target: Target, options: OpenOptions): Promise<Duplex>
  /** Starts a command there; `command` undefined: a shell. */
  run(target: Target, request: StartRequest, options: OpenOptions): Promise<RemoteProcess>
  /** A TCP connection, or one to a unix socket, from there. */
  forward(target: Target, to: Candidate, options: OpenOptions): Promise<Duplex>
  /**
   * Lets one connection in without SSH, on the same port: for bytes that are sealed already, by whoever was told the token.
   * Its first line apart nothing has been read of it. Rejects with the signal's reason.
   */
  openDoor(signal: AbortSignal): Door
  /** A bare connection to a member's door, at the place where it answered last. Rejects with what the system says. */
  enterDoor(target: Target, token: string, options: OpenOptions): Promise<Socket>
  /** Takes no new connections; those that are open stay. */
  stopListening(): Promise<void>
  /** Ends the listener and every connection. */
  close(): Promise<void>
}

/** 32 bytes for a label: the same on every member of one gang, and on no other. */
export type DeriveKey = (label: string) => Uint8Array

export interface Door {
  readonly token: string
  readonly socket: Promise<Socket>
}

export interface ListenPlace {
  /** Addresses to bind; default all of this machine's. */
  readonly bind?: readonly string[]
  /** Hosts under which others may reach it, best first; default what is bound, or this machine's own addresses. */
  readonly advertise?: readonly string[]
  /** Default: one that the system gives. */
  readonly port?: number
  /** A unix socket on which it listens besides; the address ends with it. */
  readonly path?: string
}

/** Whom to reach, and where it may be, best first. */
export interface Target {
  readonly memberId: string
  readonly candidates: readonly Candidate[]
}

/** A place of TCP, or a unix socket that leads there (such as one that `ssh -R` forwards). */
export type Candidate = { readonly host: string; readonly port: number } | { readonly path: string }

export interface ProbeOptions {
  /** The deadline. */
  readonly signal: AbortSignal
  readonly each?: boolean
}

/** One place of a member, tried. */
export interface Probed {
  readonly place: Candidate
  /** This side's address on the way there; absent when there is none. */
  readonly local?: string
  /** Why there is none, in words. */
  readonly why?: string
  /** Its host answered that nobody listens there. */
  readonly refused?: boolean
}

export interface OpenOptions {
  /** The deadline. Rejects with its reason. */
  readonly signal: AbortSignal
  /** A connection of its own, that no other channel shares: leases, stop, verdicts. Default: the pooled one. */
  readonly own?: boolean
  /** Told at which of the target's places a connection of its own was made. */
  reached?(place: Candidate): void
}

/** What a member lets others do on it; this room starts no process itself. */
export interface MeshHost {
  start(request: StartRequest, from: string): Promise<StartedProcess>
  /** Folder that relative paths of SFTP mean. */
  readonly home: string
}

export interface StartRequest {
  /** Absent: the shell of the user. */
  readonly command?: string
  /** Instead of a command: a subsystem by its name, such as `sftp`, as raw bytes. */
  readonly subsystem?: string
  readonly env: Readonly<Record<string, string>>
  readonly terminal?: Terminal
}

export interface Terminal {
  /** As in TERM. */
  readonly type: string
  readonly columns: number
  readonly rows: number
}

export interface RemoteExit {
  /** Null when it was ended by a signal. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A process as its host started it for a channel. */
export interface StartedProcess {
  readonly stdin: Writable
  readonly stdout: Readable
  /** Absent where a terminal carries both. */
  readonly stderr?: Readable
  readonly exited: Promise<RemoteExit>
  signal(name: NodeJS.Signals): void
  resize?(terminal: Terminal): void
  /** The channel has ended: so does whatever is left of the process. */
  abandon(): void
}

/** A process at another member. */
export interface RemoteProcess {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  /** Rejects with `E_MESH_CHANNEL_LOST` when the connection broke before it ended. */
  readonly exited: Promise<RemoteExit>
  signal(name: NodeJS.Signals): void
  resize(terminal: Terminal): void
  /** Closes the channel, and so ends the process. */
  close(): void
}
