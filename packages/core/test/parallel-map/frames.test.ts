import { expect, it } from 'vitest'
import { ownFrames } from '../../src/parallel-map/frames.js'

type Site = Readonly<Record<string, () => unknown>>

/** As source-map-support, which ts-node has too, copies a call site before it gives it another place. */
function copyOf(site: Site): Site {
  const names = Object.getOwnPropertyNames(Object.getPrototypeOf(site))
  return Object.fromEntries(names.map((name) => [name, () => site[name]!()]))
}

function placed(site: Site): string {
  return `${site['getFunctionName']!()} (${site['getFileName']!()}:${Number(site['getLineNumber']!()) - 3}:7)`
}

it("a worker's frame has the place that this process's own hook gives it", () => {
  const before = Error.prepareStackTrace
  Error.prepareStackTrace = (error, sites) =>
    [String(error), ...sites.map((each) => `    at ${placed(copyOf(each as never))}`)].join('\n')
  try {
    const stack = 'Error: no\n    at work (file:///app/main.ts:15:23)\n    at node:internal/x:1:1'
    expect(ownFrames(stack)).toBe('Error: no\n    at work (file:///app/main.ts:12:7)')
  } finally {
    Error.prepareStackTrace = before
  }
})
