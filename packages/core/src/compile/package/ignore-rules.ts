import { readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import ignore, { type Ignore } from 'ignore'

/** Never of use on a host, or made anew there. */
const never = ['node_modules', '.git', '.hg/', '.svn/', '.gangflow/', '__pycache__/', '.DS_Store']
/** Left here unless they are asked for: environments of this machine, and what is most often a secret. */
const unlessAsked = ['.venv', 'venv', '.env', '.env.*', '!.env.example', '*.pem', '*.key', '.npmrc', '.netrc', '.ssh/']

/** Files of these names in a folder say what of it is left out; the last one has the last word. */
const ruleFiles = ['.gitignore', '.gangflowignore']

interface Rules {
  /** The folder that the patterns are from. */
  readonly folder: string
  readonly patterns: Ignore
}

/** What of the project travels: defaults, then rule files from the outer to the inner, then `include` and `exclude`. */
export class IgnoreRules {
  private constructor(
    private readonly root: string,
    private readonly include: readonly string[],
    private readonly first: readonly Rules[],
    private readonly nested: readonly Rules[],
    private readonly last: readonly Rules[],
  ) {}

  /** `above`: folders over the root whose rule files count too, outermost first. */
  static async of(
    root: string,
    above: readonly string[],
    { include = [], exclude = [] }: { include?: readonly string[]; exclude?: readonly string[] },
  ): Promise<IgnoreRules> {
    const asked = ignore().add([...include.map((pattern) => `!${pattern}`), ...exclude, ...never])
    const rules = new IgnoreRules(
      root,
      include,
      [{ folder: root, patterns: ignore().add([...unlessAsked]) }],
      [],
      [{ folder: root, patterns: asked }],
    )
    let all = rules
    for (const folder of above) all = await all.within(folder)
    return all
  }

  /** The rules with those that a folder has itself. */
  async within(folder: string): Promise<IgnoreRules> {
    const texts = await Promise.all(ruleFiles.map((name) => readFile(join(folder, name), 'utf8').catch(() => '')))
    const text = texts.filter(Boolean).join('\n')
    if (text === '') return this
    const { root, include, first, last } = this
    return new IgnoreRules(root, include, first, [...this.nested, { folder, patterns: ignore().add(text) }], last)
  }

  /** Whether a file or folder stays here. */
  leaves(path: string, isFolder: boolean): boolean {
    let left = false
    for (const { folder, patterns } of [...this.first, ...this.nested, ...this.last]) {
      const inside = relative(folder, path)
      if (inside === '' || inside.startsWith('../')) continue
      const said = verdictOf(patterns, isFolder ? `${inside}/` : inside)
      if (said !== undefined) left = said
    }
    return left
  }

  /** Whether a folder that stays here has something in it that was asked for. */
  mayHold(path: string): boolean {
    const inside = relative(this.root, path)
    return this.include.some((pattern) => pattern.replace(/^\//, '').startsWith(`${inside}/`))
  }
}

/** What one set of patterns says: true leaves it out. What brings a folder back brings back what is in it. */
function verdictOf(patterns: Ignore, path: string): boolean | undefined {
  const { ignored, unignored } = patterns.test(path)
  if (ignored || unignored) return ignored
  for (let end = path.lastIndexOf('/', path.length - 2); end > 0; end = path.lastIndexOf('/', end - 1)) {
    if (patterns.test(path.slice(0, end + 1)).unignored) return false
  }
  return undefined
}
