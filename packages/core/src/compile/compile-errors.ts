import { isAbsolute, resolve } from 'node:path'
import type { BuildFailure, Message } from 'esbuild'
import { GangflowError, type SourceLocation } from '../errors/base.js'

/** What esbuild refuses, as a named error with the person's file and line. */
export function compileError(failure: BuildFailure, flow: string, folder: string): GangflowError {
  const first = failure.errors[0]
  if (first === undefined) return new GangflowError({ code: 'E_COMPILE', what: failure.message }, { cause: failure })
  const location = locationOf(first, folder)
  const at = location === undefined ? flow : `${location.file}:${location.line}:${location.column}`
  const others = failure.errors.length - 1
  const more = others > 0 ? ` (and ${others} more)` : ''
  return new GangflowError(
    {
      ...meaningOf(first),
      what: `${at}: ${first.text}${more}${excerpt(first)}`,
      ...(location && { location }),
      details: {
        errors: failure.errors.map((message) => ({ text: message.text, location: locationOf(message, folder) })),
      },
    },
    { cause: failure },
  )
}

function meaningOf({ text, detail }: Message): { code: string; fix: string } {
  if (detail === 'E_PACKAGE_TYPESCRIPT') {
    return {
      code: 'E_PACKAGE_TYPESCRIPT',
      fix: 'use a release of the package that is compiled to JavaScript, or make it a workspace of the project',
    }
  }
  const missing = /^Could not resolve "([^"]+)"/.exec(text)?.[1]
  if (missing !== undefined) return { code: 'E_IMPORT', fix: fixOfImport(missing) }
  if (/^No loader is configured/.test(text)) {
    return {
      code: 'E_COMPILE',
      fix: "read a file that is no code by its place: readFileSync(new URL('./name', import.meta.url))",
    }
  }
  return { code: 'E_COMPILE', fix: 'correct the source at this place' }
}

function fixOfImport(specifier: string): string {
  if (/^(\.|\/|file:)/.test(specifier)) return 'check the path: no such file'
  if (specifier.startsWith('#')) return 'check "imports" in the package.json of the importing file'
  const name = specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
  return `run: npm install ${name} (where it is installed, it does not offer "${specifier}"; an alias belongs in the "paths" of the nearest tsconfig.json)`
}

function locationOf({ location }: Message, folder: string): SourceLocation | undefined {
  if (!location) return undefined
  const file = isAbsolute(location.file) ? location.file : resolve(folder, location.file)
  return { file, line: location.line, column: location.column + 1 }
}

function excerpt({ location }: Message): string {
  if (!location || location.lineText.length > 200) return ''
  const line = location.lineText.trimEnd()
  return `\n    ${line}\n    ${' '.repeat(location.column)}^`
}
