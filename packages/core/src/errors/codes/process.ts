/** Codes of the process rooms: `E_NAME: 'one-line meaning'`. */
export const processCodes = {
  E_PROCESS_CWD_MISSING: 'the working directory that a process was to start in cannot be entered',
  E_PROCESS_NAME_TAKEN: 'a process of that name is running in the same task',
  E_PROCESS_NOT_ALLOWED: 'a program may not be executed, or a directory not be entered',
  E_PROCESS_PROGRAM_MISSING: 'the program of a command, or its interpreter, does not exist',
  E_PROCESS_SPOOL: 'the file for the output of a process cannot be opened',
  E_PROCESS_START: 'the system refused to start a process',
  E_PROCESS_STDIN_CLOSED: 'data was written to a process that does not read it any more',
  E_PROCESS_UNKILLABLE: 'processes are left although they were killed',
  E_KEEPER_LOST: 'the parent of the processes was itself ended',
  E_KEEPER_START: 'the native helper could not be started',
  E_PORT_TAKEN: 'a port that was asked for is in use',
  E_PORT_NONE: 'no port could be held on an address',
} as const
