import { spawn } from 'node:child_process'
import type { HostSpec } from './hosts.js'
import type { HostPlaces } from './session.js'
import { type SshWay, sshArgv } from './ssh-argv.js'
import { cleanFunction } from './start-script.js'

/** Seconds for which the end of the host's keeper is waited for. */
const KEEPER_SECONDS = 60

export interface Swept {
  readonly places: HostPlaces
  /** Pid of its keeper, there. */
  readonly keeper: number
  readonly mark: string
  readonly work: string
  readonly socket: string
}

/**
 * Removes by another connection what the script on a host has made and cannot remove, where its shell was killed: once
 * the keeper there has ended all. Nobody waits for it; where the host is not reached any more, it has to stay.
 */
export function sweep(plan: HostSpec, way: SshWay, { places, keeper, mark, work, socket }: Swept): void {
  const { run, temp, spool } = places
  const script = `new= keeper=$1 run=$2 temp=$3 spool=$4 work=$5 mark=$6 n=0
${cleanFunction(socket)}
while kill -0 "$keeper" 2>/dev/null; do
  [ $n -lt ${KEEPER_SECONDS} ] || exit 1
  sleep 1
  n=$((n + 1))
done
clean`
  const command = ['sh', '-c', script, 'sh', String(keeper), run, temp, spool, work, mark]
  const argv = sshArgv(plan, way, { command })
  const child = spawn(argv[0]!, argv.slice(1), { stdio: 'ignore', detached: true })
  child.on('error', () => {})
  child.unref()
}
