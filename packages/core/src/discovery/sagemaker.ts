import type { Discovered, Surroundings } from './contract.js'
import { Variables } from './variables.js'

const CONFIG = '/opt/ml/input/config/resourceconfig.json'

/**
 * A container of a SageMaker training job: by the variables of its training toolkit, which not every image has, or by the
 * file that every container gets. See "How Amazon SageMaker Provides Training Information".
 */
export function discoverSageMaker(surroundings: Surroundings): Discovered {
  const about = new Variables('SageMaker', surroundings)
  const config = configOf(about)
  const current = about.text('SM_CURRENT_HOST') ?? config?.current_host ?? about.need('SM_CURRENT_HOST')
  const list = about.text('SM_HOSTS')
  const names = [
    ...(list === undefined ? (config?.hosts ?? hostsIn(about, about.need('SM_HOSTS'))) : hostsIn(about, list)),
  ]
  // As numbers, so that all agree whatever order they were told.
  names.sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
  if (config && config.current_host !== current)
    about.contradiction(`SM_CURRENT_HOST is ${current}, but ${CONFIG} says ${config.current_host}`)
  const index = names.indexOf(current)
  if (index < 0) about.contradiction(`SM_CURRENT_HOST is ${current}, which is none of ${names.join(', ')}`)
  const slots = about.whole('SM_NUM_CPUS')
  const gpus = about.whole('SM_NUM_GPUS')
  return {
    engine: 'sagemaker',
    job: about.text('TRAINING_JOB_NAME') ?? about.need('TRAINING_JOB_ARN').split('/').at(-1)!,
    restarts: 0,
    size: names.length,
    index,
    task: 0,
    hosts: names.map((host) => ({ host })),
    main: { index: 0, host: names[0]! },
    ...(slots === undefined ? {} : { slots }),
    ...(gpus === undefined ? {} : { gpus }),
  }
}

interface Config {
  readonly current_host: string
  readonly hosts: readonly string[]
}

function configOf(about: Variables): Config | undefined {
  const text = about.file(CONFIG)
  if (text === undefined) return undefined
  const { current_host, hosts } = (parsed(text) ?? {}) as Partial<Config>
  if (typeof current_host === 'string' && isList(hosts)) return { current_host, hosts }
  return about.wrong(CONFIG, text, 'JSON with current_host and hosts')
}

function hostsIn(about: Variables, list: string): readonly string[] {
  const hosts = parsed(list)
  return isList(hosts) ? hosts : about.wrong('SM_HOSTS', list, 'a list of names in JSON')
}

const isList = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === 'string')

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
