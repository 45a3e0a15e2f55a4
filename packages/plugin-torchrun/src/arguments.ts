import { wrong } from './checks.js'
import { torchFamily } from './family.js'
import type { Arguments } from './options.js'

/**
 * The words of a command line, exactly as given; nothing passes a shell. Of an object, `key: value` becomes
 * `--key value`; `true` a bare flag; `false`, `null` and `undefined` nothing; an array the flag once for each
 * element; another object its JSON. A value that begins with `-` is joined by `=`, so that no parser takes it for
 * a flag. A key that begins with `-` is used as it is. Errors name `call`, in which `option` was given.
 */
export function words(given: Arguments | undefined, option: string, call = torchFamily.call): string[] {
  if (given === undefined) return []
  if (Array.isArray(given)) return given.map((value, index) => word(value, `${option}[${index}]`, call))
  if (typeof given !== 'object' || given === null) throw wrong(call, option, given, 'an array or an object')
  const result: string[] = []
  for (const [key, value] of Object.entries(given)) {
    const flag = key.startsWith('-') ? key : `--${key}`
    if (key === '' || key.includes('\0')) throw wrong(call, option, key, 'flags with names')
    if (value === true) result.push(flag)
    else if (value === false || value === null || value === undefined) continue
    else if (Array.isArray(value)) {
      for (const [index, element] of value.entries())
        push(result, flag, word(element, `${option}.${key}[${index}]`, call))
    } else if (typeof value === 'object') push(result, flag, JSON.stringify(value))
    else push(result, flag, word(value, `${option}.${key}`, call))
  }
  return result
}

function push(result: string[], flag: string, value: string): void {
  if (value.startsWith('-')) result.push(`${flag}=${value}`)
  else result.push(flag, value)
}

function word(value: unknown, where: string, call: string): string {
  if (typeof value === 'number' && Number.isFinite(value)) return String(value)
  if (typeof value !== 'string') throw wrong(call, where, value, 'a string or a finite number')
  if (value.includes('\0')) throw wrong(call, where, value, 'a string without a zero byte')
  return value
}
