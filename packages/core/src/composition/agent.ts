import { openBodyHost } from '../body/host.js'
import { openDatastore } from '../datastore/open.js'
import { messageOf } from '../errors/base.js'
import { readBootstrap } from '../gang/agent/bootstrap.js'
import { runMember } from '../gang/agent/member.js'
import { unixTransport } from '../gang/transport/unix.js'
import { takeUpCertificates } from '../process/extra-certificates.js'
import { startKeeper } from '../process/start.js'

/** One member of a gang: started by a backend, told everything on its stdin, runs no user code. */
export async function startAgent(): Promise<never> {
  takeUpCertificates()
  try {
    const boot = await readBootstrap(process.stdin)
    process.exitCode = await runMember(boot, {
      transport: unixTransport(boot.member.directory),
      startKeeper,
      openDatastore,
      openHost: openBodyHost,
    })
  } catch (error) {
    process.stderr.write(`gangflow agent: ${messageOf(error)}\n`)
    process.exitCode = 70
  }
  // Whatever is still open belongs to nobody any more.
  process.exit()
}
