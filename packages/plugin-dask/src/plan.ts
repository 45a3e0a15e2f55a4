import { type EnginePlace, type EnginePlan, memberPython } from '@gangflow/core/plugin'
import type { Certificate } from './certificate.js'
import type { DaskOptions } from './options.js'

export const ports = { head: ['scheduler', 'http'], each: ['worker', 'worker-http'] } as const

/** A planned cluster. */
export interface DaskPlan extends EnginePlan {
  /** `tls://HOST:PORT` of the scheduler. */
  readonly address: string
  /** `HOST:PORT` of each node's worker. */
  readonly workerAddresses: readonly { readonly host: string; readonly port: number }[]
  /** On each node, has the process id of its worker. */
  readonly pidFiles: readonly string[]
  /** Port of the scheduler's HTTP server on the control's loopback. */
  readonly httpPort: number
  /** What a client needs in its environment. */
  readonly clientEnv: Readonly<Record<string, string>>
}

/**
 * `$1` is the folder, which may be there already, `$2` which part this is: key and certificate come by standard input, and
 * nobody else reads them. What a shell in another cluster's worker has of that cluster is left behind.
 */
const prepare = `umask 077
mkdir -p -- "$1" && cat > "$1/$2.pem" || exit
file=$1/$2.pem
echo $$ > "$1/$2.pid"
shift 2
unset DASK_INTERNAL_INHERIT_CONFIG DASK_DISTRIBUTED__SCHEDULER__CONTACT_ADDRESS
export DASK_DISTRIBUTED__COMM__TLS__CA_FILE="$file" DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION=True
for role in SCHEDULER WORKER CLIENT; do
  export DASK_DISTRIBUTED__COMM__TLS__\${role}__CERT="$file" DASK_DISTRIBUTED__COMM__TLS__\${role}__KEY="$file"
done
exec "$@"`

/**
 * `python -m dask` whose page /json/identity.json says what is read of it. Dask's own says all that it has, which is no JSON
 * while tasks end: the workers' last figures have tuples for keys, and the page is an error (500) then.
 */
const withPage = `import runpy, sys
try:
    from distributed.http.scheduler.json import IdentityJSON
    def get(page):
        page.write({"workers": {one.address: {
            "name": one.name, "last_seen": one.last_seen, "status": one.status.name,
            "memory_limit": one.memory_limit, "metrics": {"memory": one.metrics.get("memory", 0)},
        } for one in page.server.workers.values()}})
    IdentityJSON.get = get
except ImportError:
    if "distributed" not in sys.modules:
        raise
sys.argv = sys.argv[2:]
runpy.run_module("dask", run_name="__main__", alter_sys=True)`

/** The cluster of one start: the scheduler on the control, a worker on every member. Pure. */
export function planDask(place: EnginePlace, options: DaskOptions, { key, cert }: Certificate): DaskPlan {
  const { entries } = place.roster
  const hosts = entries.map(({ addresses }) => addresses[0] ?? '127.0.0.1')
  const folder = (node: number) => `${options.localDirectory ?? '/tmp'}/gf-dask-${place.id}-${node}`
  const address = `tls://${joined(hosts[0]!, place.port(0, 'scheduler'))}`
  const stdin = new TextEncoder().encode(key + cert)
  const dask = (node: number, part: string, words: readonly string[]) => ({
    argv: [
      '/bin/sh',
      '-c',
      prepare,
      'sh',
      folder(node),
      part,
      ...memberPython(options.python),
      ...(part === 'scheduler' ? ['-c', withPage] : []),
      '-m',
      'dask',
      part,
      ...words,
    ],
    stdin,
    show: false,
    // `Client()` in a task is to find this cluster, and not the one that the person's shell names.
    env: { PYTHONUNBUFFERED: '1', DASK_SCHEDULER_ADDRESS: address },
  })
  const httpPort = place.port(0, 'http')
  const dashboard = options.dashboard ? '--dashboard' : '--no-dashboard'
  const limit = options.memoryLimit ?? 'auto'
  const worker = (node: number) =>
    dask(node, 'worker', [
      address,
      ...['--host', bracketed(hosts[node]!), '--worker-port', String(place.port(node, 'worker'))],
      ...['--nthreads', String(options.threads ?? entries[node]!.slots), '--name', `node${node}`],
      // A worker that died is this gang's failure: nobody is to put another in its place.
      '--no-nanny',
      // Without a dashboard there is a server for metrics all the same: nobody outside reaches it.
      ...['--no-dashboard', '--dashboard-address', `127.0.0.1:${place.port(node, 'worker-http')}`],
      ...['--local-directory', folder(node), '--memory-limit', String(limit), '--death-timeout', '60'],
    ])
  return {
    address,
    httpPort,
    pidFiles: entries.map(({ node }) => `${folder(node)}/worker.pid`),
    workerAddresses: entries.map(({ node }) => ({ host: hosts[node]!, port: place.port(node, 'worker') })),
    clientEnv: clientEnvironment(address, `${folder(0)}/scheduler.pem`),
    head: dask(0, 'scheduler', [
      ...['--host', bracketed(hosts[0]!), '--port', String(place.port(0, 'scheduler')), '--protocol', 'tls'],
      ...[dashboard, '--dashboard-address', `127.0.0.1:${httpPort}`],
    ]),
    workers: entries.map(({ node }) => ({ node, command: worker(node) })),
    // A worker asks for its scheduler until it is there, for `--death-timeout`.
    atOnce: true,
    atEnd: entries.map(({ node }) => ({ node, undo: { remove: folder(node) } })),
  }
}

/** `Client()` reads them. */
const clientEnvironment = (address: string, file: string): Record<string, string> => ({
  DASK_SCHEDULER_ADDRESS: address,
  DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION: 'True',
  DASK_DISTRIBUTED__COMM__TLS__CA_FILE: file,
  DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT: file,
  DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY: file,
  PYTHONUNBUFFERED: '1',
})

/** As Dask wants an IPv6 address, everywhere. */
const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host)
const joined = (host: string, port: number): string => `${bracketed(host)}:${port}`
