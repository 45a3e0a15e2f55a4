import { existsSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { GangflowError } from '../errors/base.js'
import type { HoldRequest, SpawnRequest } from './contract.js'
import { spoolFile } from './spool.js'

/** The stages of a start, as the keeper tells them. */
export const stage = { setup: 1, fork: 2, spool: 3, cwd: 4, exec: 5 } as const

/** Why a process could not be started, exactly. */
export function startError(request: SpawnRequest, failedAt: number, errno: string, cause?: unknown): GangflowError {
  const program = request.argv[0] ?? ''
  const details = { errno, program, cwd: request.cwd, process: request.name }
  const make = (code: string, what: string, fix: string) =>
    new GangflowError({ code, what, fix, details }, cause === undefined ? undefined : { cause })
  if (failedAt === stage.cwd)
    return errno === 'EACCES'
      ? make('E_PROCESS_NOT_ALLOWED', `${request.name}: may not enter ${request.cwd}`, 'give this user access to it')
      : make(
          'E_PROCESS_CWD_MISSING',
          `${request.name}: the working directory ${request.cwd} cannot be entered (${errno})`,
          'create it, or give another `cwd`',
        )
  if (failedAt === stage.spool)
    return make(
      'E_PROCESS_SPOOL',
      `${request.name}: its output cannot be spooled to ${spoolFile(request.spool ?? '', request.name)} (${errno})`,
      'see that the disk has room and the directory may be written',
    )
  if (failedAt === stage.exec && (errno === 'ENOENT' || errno === 'ENOTDIR')) {
    const file = isAbsolute(program) ? program : join(request.cwd, program)
    if (program.includes('/') && existsSync(file))
      return make(
        'E_PROCESS_PROGRAM_MISSING',
        `${request.name}: ${program} exists, but the interpreter that its first line names does not`,
        'correct the first line (#!…), or start it through an interpreter that is installed',
      )
    return make(
      'E_PROCESS_PROGRAM_MISSING',
      `${request.name}: there is no program ${program}`,
      program.includes('/') ? 'check the path' : `install it, or add its folder to PATH (${request.env['PATH'] ?? ''})`,
    )
  }
  if (failedAt === stage.exec && (errno === 'EACCES' || errno === 'EPERM'))
    return make(
      'E_PROCESS_NOT_ALLOWED',
      `${request.name}: ${program} may not be executed`,
      'it must be a file with the execute permission (`chmod +x`) on a file system that allows it',
    )
  return make(
    'E_PROCESS_START',
    `${request.name}: ${program} could not be started (${errno})`,
    errno === 'EINVAL'
      ? 'a command has at least a program, and no NUL bytes in arguments, environment and directory'
      : errno === 'E2BIG'
        ? 'pass less in arguments and environment; large values go into a file or stdin'
        : 'see that the limits on processes, open files and memory leave room (`ulimit -a`)',
  )
}

/** For whoever asks something of a keeper that has ended. */
export function keeperLost(pid: number, how: string): GangflowError {
  return new GangflowError({
    code: 'E_KEEPER_LOST',
    what: `the keeper (pid ${pid}) has ended: ${how}`,
    fix: 'what it kept was ended with it; look for whoever killed it (out of memory, an administrator, kill -9)',
    details: { pid },
  })
}

export function nameTaken(request: SpawnRequest, file: string): GangflowError {
  return new GangflowError({
    code: 'E_PROCESS_NAME_TAKEN',
    what: `a process named ${request.name} is running in this task already`,
    fix: 'give each running process a `name` of its own',
    details: { file },
  })
}

export function unkillable(pids: readonly number[], whom: string): GangflowError {
  return new GangflowError({
    code: 'E_PROCESS_UNKILLABLE',
    what: `processes of ${whom} are left although they were killed: ${pids.map((pid) => `pid ${pid}`).join(', ')}`,
    fix: 'state D means that the kernel waits for a device or a network disk: see what it waits for (/proc/PID/stack)',
    details: { pids },
  })
}

export function portError(request: HoldRequest, errno: string): GangflowError {
  const at = request.host ?? 'any address'
  return request.port
    ? new GangflowError({
        code: 'E_PORT_TAKEN',
        what: `port ${request.port} on ${at} cannot be held (${errno})`,
        fix: 'leave the port out to get a free one, or end whoever uses it (`ss -ltnp`)',
        details: { port: request.port, errno },
      })
    : new GangflowError({
        code: 'E_PORT_NONE',
        what: `no port can be held on ${at} (${errno})`,
        fix: 'give an address of this machine',
        details: { errno },
      })
}
