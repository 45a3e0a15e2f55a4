import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Finding } from '../../backend/doctor/finding.js'
import { worst } from '../../backend/doctor/finding.js'
import { defaultDatastore } from '../../datastore/open.js'
import { GangflowError } from '../../errors/base.js'
import { milliseconds } from '../../errors/duration.js'
import { exitCodes } from '../../errors/exit-codes.js'
import type { Arguments, CommandModule } from '../commands.js'
import { describeFlowFile } from '../describing.js'
import { plannedChecks } from '../doctor/checks.js'
import { report } from '../doctor/report.js'
import type { InstalledPlugin } from '../installed-plugins.js'
import { backendOption } from '../running.js'
import { styleOf } from '../style.js'

/** `gangflow doctor [FLOW] [--hosts …]`: 0 when nothing has to be mended, 3 otherwise. */
export const command: CommandModule['command'] = async (args) => {
  const flow = typeof args['flow'] === 'string' ? await describeFlowFile(args) : undefined
  const wanted = await hostsOrder(args)
  const stopped = new AbortController()
  const onSignal = () => (stopped.signal.aborted ? process.exit(exitCodes.cancelled) : stopped.abort())
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal)
  const { checks, broken } = await plannedChecks(flow)
  // The bundled command lies in core's dist/.
  const core = resolve(fileURLToPath(new URL('..', import.meta.url)))
  const progress = liveLine(args)
  const [{ examineMachine }, { examineHosts }] = await Promise.all([
    import('../../backend/doctor/machine.js'),
    import('../../backend/doctor/hosts.js'),
  ])
  const machine = examineMachine({
    core,
    checks,
    datastore: folderOf(args, flow?.file),
    flowDir: flow === undefined ? process.cwd() : dirname(flow.file),
    ssh: wanted !== undefined,
    signal: stopped.signal,
  })
  const hosts =
    wanted === undefined
      ? []
      : await examineHosts({ ...wanted, core, checks, onProgress: progress.show }, stopped.signal)
  const engine = await examineEngine(args, flow?.file, core, stopped.signal)
  const here: Finding[] = [...(await machine), ...broken.map(brokenPackage)]
  // Its name is worth saying beside those of hosts alone.
  const findings = [
    ...(wanted === undefined ? here : here.map((each) => ({ ...each, host: 'this machine' }))),
    ...hosts,
    ...engine,
  ]
  progress.end()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, onSignal)
  const cancelled = stopped.signal.aborted
  const ok = !cancelled && worst(findings) !== 'fail'
  if (args['json'] === true) console.log(JSON.stringify({ ok, cancelled, findings }, null, 2))
  else {
    console.log(report(findings, styleOf(process.stdout, args)))
    if (cancelled) console.log('stopped before all was looked at')
  }
  return cancelled ? exitCodes.cancelled : ok ? exitCodes.ok : exitCodes.infrastructure
}

/** What the backend that a run here would have says of its engine. Bad options are refused as `run` refuses them. */
async function examineEngine(
  args: Arguments,
  file: string | undefined,
  core: string,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const [{ readSettings }, { loadBackend }, { builtInBackends }] = await Promise.all([
    import('../../composition/settings.js'),
    import('../../composition/backends.js'),
    import('../../composition/built-in.js'),
  ])
  const beside = file ?? resolve('flow.ts')
  const given = {
    ...(typeof args['backend'] === 'string' ? { backend: args['backend'] } : {}),
    backendOptions: Object.fromEntries(((args['backendOption'] ?? []) as readonly string[]).map(backendOption)),
  }
  const { options } = await readSettings(beside, given, false)
  if (options.backend === undefined) return []
  const { examine } = await loadBackend(options.backend, beside, builtInBackends)
  const datastore = resolve((options.datastore ?? folderOf(args, file)).replace(/^dir:/, ''))
  return (await examine?.(options.backendOptions ?? {}, { datastore, core, flowDir: dirname(beside) }, signal)) ?? []
}

const brokenPackage = ({ name, status }: InstalledPlugin): Finding => ({
  check: `package ${name}`,
  status: 'fail',
  found: status,
  fix: 'install it again, or take it out of package.json',
})

/** The hosts as `run` would take them, or undefined where none are named. */
async function hostsOrder(args: Arguments) {
  const { readSshOptions, sshOptionNames } = await import('../../backend/ssh/options.js')
  const given = Object.fromEntries(
    sshOptionNames.flatMap((name) => (args[name] === undefined ? [] : [[name, args[name]] as const])),
  )
  const timeoutMs = milliseconds(String(args['timeout'] ?? '2m'))
  if (timeoutMs < 1_000)
    throw new GangflowError({
      code: 'E_USAGE',
      what: '--timeout is under a second',
      fix: 'give hosts the time that a login takes: --timeout 2m',
    })
  if (Object.keys(given).length === 0) return undefined
  return { ...readSshOptions(given), timeoutMs }
}

function folderOf(args: Arguments, file: string | undefined): string {
  const named = typeof args['datastore'] === 'string' ? args['datastore'] : defaultDatastore(file ?? resolve('flow.ts'))
  return resolve(named.replace(/^dir:/, ''))
}

/** One line on a terminal that says whom is waited for. */
function liveLine(args: Arguments) {
  const on = process.stderr.isTTY === true && args['json'] !== true
  const clear = () => process.stderr.write('\r\x1b[K')
  return {
    show(phase: 'hosts' | 'pairs', waiting: readonly string[], total: number): void {
      if (!on) return
      const names =
        waiting.length <= 4 ? waiting.join(', ') : `${waiting.slice(0, 3).join(', ')} and ${waiting.length - 3} more`
      const what = phase === 'hosts' ? 'hosts' : 'ways between them'
      clear()
      process.stderr.write(
        `${what}: ${total - waiting.length} of ${total}${names === '' ? '' : `, waiting for ${names}`}`,
      )
    },
    end(): void {
      if (on) clear()
    },
  }
}
