import { GangflowError } from '../errors/base.js'
import type { Discovered, Surroundings } from './contract.js'
import { Variables } from './variables.js'

const PREFIX = 'jobset.sigs.k8s.io/'
/** Where a volume of the downward API shows the pod's annotations (JobSet writes there what it writes into labels). */
const ANNOTATIONS = '/etc/podinfo/annotations'

/**
 * A pod of an Indexed Job, alone or as part of a JobSet. Neither tells a pod how many there are: the manifest sets
 * GANGFLOW_NUM_NODES. What JobSet tells comes as a file of the downward API, or as variables made of the same fields.
 */
export function discoverKubernetes(surroundings: Surroundings): Discovered {
  const about = new Variables('Kubernetes', surroundings)
  const facts = annotations(about.file(about.text('GANGFLOW_PODINFO') ?? ANNOTATIONS) ?? '')
  const told = (field: string, ...names: readonly string[]) => facts.get(PREFIX + field) ?? about.text(...names)
  const count = (field: string, ...names: readonly string[]) => {
    const text = told(field, ...names)
    if (text === undefined || /^\d{1,9}$/.test(text)) return text === undefined ? undefined : Number(text)
    return about.wrong(names[0]!, text, 'a whole number')
  }
  const pod = about.needWhole('JOB_COMPLETION_INDEX')
  const size = about.needWhole('GANGFLOW_NUM_NODES')
  const jobSet = told('jobset-name', 'JOBSET_NAME')
  if (jobSet === undefined) return indexedJob(about, pod, size)
  const role = told('replicatedjob-name', 'REPLICATED_JOB_NAME') ?? about.need('REPLICATED_JOB_NAME')
  const jobs = count('global-replicas', 'JOBSET_GLOBAL_REPLICAS') ?? 1
  const job = count('job-global-index', 'JOBSET_JOB_GLOBAL_INDEX', 'JOBSET_JOB_INDEX', 'JOB_INDEX') ?? 0
  const perJob = size / jobs
  if (!Number.isInteger(perJob) || perJob < 1)
    about.contradiction(`GANGFLOW_NUM_NODES is ${size}, which ${jobs} jobs of the JobSet cannot share alike`)
  if (pod >= perJob) about.contradiction(`JOB_COMPLETION_INDEX is ${pod}, but each of ${jobs} jobs has ${perJob} pods`)
  if (job >= jobs) about.contradiction(`the job's global index is ${job}, but the JobSet has ${jobs} jobs`)
  const own = count('replicatedjob-replicas', 'REPLICATED_JOB_REPLICAS') ?? jobs
  const subdomain = told('subdomain', 'JOBSET_SUBDOMAIN') ?? subdomainOf(about) ?? jobSet
  // With several roles the names of the others are not known here.
  const hosts = own === jobs ? jobSetHosts({ jobSet, role, jobs, perJob, subdomain }) : undefined
  const coordinator = facts.get(`${PREFIX}coordinator`) ?? hosts?.[0]?.host
  return {
    engine: 'jobset',
    job: told('jobset-uid', 'JOBSET_UID') ?? jobSet,
    restarts: count('restart-attempt', 'JOBSET_RESTART_ATTEMPT', 'RESTART_ATTEMPT') ?? 0,
    size,
    index: job * perJob + pod,
    task: 0,
    ...(hosts ? { hosts } : {}),
    main: { index: 0, ...(coordinator === undefined ? {} : { host: coordinator }) },
  }
}

interface JobSetShape {
  readonly jobSet: string
  readonly role: string
  readonly jobs: number
  readonly perJob: number
  readonly subdomain: string
}

/** JobSet's names: `<jobset>-<role>-<job>-<pod>.<subdomain>`. */
function jobSetHosts({ jobSet, role, jobs, perJob, subdomain }: JobSetShape): { host: string }[] {
  return Array.from({ length: jobs * perJob }, (_, index) => ({
    host: `${jobSet}-${role}-${Math.floor(index / perJob)}-${index % perJob}.${subdomain}`,
  }))
}

/** Its pods are called `<job>-<index>`, and have a domain where the template names a headless Service. */
function indexedJob(about: Variables, pod: number, size: number): Discovered {
  if (pod >= size) about.contradiction(`JOB_COMPLETION_INDEX is ${pod}, but GANGFLOW_NUM_NODES is ${size}`)
  const { hostname } = about.surroundings
  const job = hostname.endsWith(`-${pod}`) ? hostname.slice(0, -`-${pod}`.length) : undefined
  const name = about.text('JOB_NAME') ?? job
  if (name === undefined)
    throw new GangflowError({
      code: 'E_DISCOVERY_MISSING',
      what: `this pod is index ${pod} of an Indexed Job, but its hostname ${hostname} does not tell the job's name, and JOB_NAME is not set`,
      fix: "set JOB_NAME in the pod template from the label batch.kubernetes.io/job-name (pods with hostNetwork have their node's name)",
    })
  const subdomain = subdomainOf(about)
  const at = (index: number) => `${name}-${index}.${subdomain}`
  return {
    engine: 'indexed-job',
    job: name,
    restarts: 0,
    size,
    index: pod,
    task: 0,
    ...(subdomain === undefined ? {} : { hosts: Array.from({ length: size }, (_, index) => ({ host: at(index) })) }),
    main: { index: 0, ...(subdomain === undefined ? {} : { host: at(0) }) },
  }
}

/** The kubelet writes `IP  name.subdomain.namespace.svc.cluster.local  name` into the pod's /etc/hosts. */
function subdomainOf(about: Variables): string | undefined {
  const { hostname } = about.surroundings
  const names = (about.file('/etc/hosts') ?? '').split('\n').map((line) => line.split(/\s+/))
  const full = names.find((words) => words.includes(hostname))?.find((word) => word.startsWith(`${hostname}.`))
  return full?.slice(hostname.length + 1).split('.')[0]
}

/** The downward API's form: `key="value"` in each line, quoted as in Go. */
function annotations(text: string): Map<string, string> {
  const found = new Map<string, string>()
  for (const line of text.split('\n')) {
    const [, key, quoted] = /^([^=]+)=(".*")$/.exec(line.trim()) ?? []
    if (key === undefined) continue
    try {
      found.set(key, JSON.parse(quoted!) as string)
    } catch {
      // A value that JSON cannot read is none of JobSet's.
    }
  }
  return found
}
