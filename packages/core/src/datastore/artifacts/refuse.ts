import { types } from 'node:util'
import { GangflowError } from '../../errors/base.js'
import { wordFor } from './classify.js'

/** What is being saved, for people: artifact `model` of step `fit`. */
export interface Subject {
  readonly name: string
  readonly step?: string | undefined
}

/** The way from an artifact to a value in it: property names, array indices, map keys. */
export type PathSegment = string | number | { readonly key: unknown } | { readonly member: number }

/** `model.layers[3].fn` */
export function formatPath(name: string, path: readonly PathSegment[]): string {
  return path.reduce<string>((text, segment) => {
    if (typeof segment === 'number') return `${text}[${segment}]`
    if (typeof segment === 'string') {
      return /^[A-Za-z_$][\w$]*$/.test(segment) ? `${text}.${segment}` : `${text}[${JSON.stringify(segment)}]`
    }
    if ('member' in segment) return `[...${text}][${segment.member}]`
    const key = typeof segment.key === 'object' && segment.key !== null ? wordFor(segment.key) : String(segment.key)
    return `${text}.get(${typeof segment.key === 'string' ? JSON.stringify(key) : key})`
  }, name)
}

export function unsupported(value: unknown, path: readonly PathSegment[], subject: Subject): GangflowError {
  const { is, fix } = explain(value)
  return refusal(is, fix, path, subject)
}

export function refusal(is: string, fix: string, path: readonly PathSegment[], subject: Subject): GangflowError {
  const where = formatPath(subject.name, path)
  return new GangflowError({
    code: 'E_ARTIFACT_UNSUPPORTED',
    what: `artifact '${subject.name}'${subject.step === undefined ? '' : ` of step '${subject.step}'`} cannot be saved: ${where} is ${is}`,
    fix,
    step: subject.step,
    details: { artifact: subject.name, path: where },
  })
}

function explain(value: unknown): { is: string; fix: string } {
  if (typeof value === 'function') {
    return {
      is: value.name === '' ? 'a function' : `the function '${value.name}'`,
      fix: 'save the data that it needs, and make the function in the step that calls it',
    }
  }
  if (typeof value === 'symbol') return { is: `a symbol (${String(value)})`, fix: 'save a string instead' }
  if (types.isPromise(value)) return { is: 'a Promise', fix: 'await it before the step ends' }
  if (ArrayBuffer.isView(value) || types.isSharedArrayBuffer(value)) {
    const memory = types.isSharedArrayBuffer(ArrayBuffer.isView(value) ? value.buffer : value)
    if (memory) return { is: 'shared memory', fix: 'copy it into a typed array of its own: `.slice()`' }
  }
  const name = (Object.getPrototypeOf(value) as object | null)?.constructor?.name || 'an unnamed class'
  const object = value as Record<string, unknown>
  if (typeof object['pipe'] === 'function' || typeof object['destroy'] === 'function') {
    return {
      is: `a stream or socket (${name})`,
      fix: 'save what was read from it, and open it anew where it is needed',
    }
  }
  return {
    is: `an instance of ${name}`,
    fix: `store plain data (an object, an array, a Map, a typed array), keep it in a local variable, or add an ArtifactCodec for ${name} through a plugin`,
  }
}
