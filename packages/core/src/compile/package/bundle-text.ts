import { readFile } from 'node:fs/promises'
import type { CompiledFlow } from '../contract.js'
import { scriptName } from '../load-script.js'

/** What is needed of a compiled flow. */
export type PackedFlow = Pick<CompiledFlow, 'file' | 'bundle' | 'core' | 'ref' | 'uses'>

/** A bundle's two forms, with this machine's paths. */
export interface BundleText {
  readonly code: string
  /** Empty where it has to be a module. */
  readonly script: string
  /** Native addons that it names by their paths. */
  readonly addons: readonly string[]
}

export async function readBundle({ bundle }: PackedFlow): Promise<BundleText> {
  const [code, script] = await Promise.all([
    readFile(bundle, 'utf8'),
    readFile(scriptName(bundle), 'utf8').catch(() => ''),
  ])
  const addons = [...code.matchAll(/\brequire\(("\/[^"\n]+\.node")\)/g)].map(([, text]) => JSON.parse(text!) as string)
  return { code, script, addons }
}
