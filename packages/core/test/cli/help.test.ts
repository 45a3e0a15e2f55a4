import { execFileSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { helpTexts } from '../../src/cli/help-text.js'

const bin = new URL('../../dist/cli.cjs', import.meta.url).pathname
const gangflow = (...words: string[]) => execFileSync(process.execPath, [bin, ...words], { encoding: 'utf8' })

describe('the text of --help that was made at build', async () => {
  const texts = await helpTexts()

  it('names every command and every exit code', () => {
    for (const name of Object.keys(texts))
      if (name !== 'gangflow') expect(texts['gangflow']).toContain(`gangflow ${name}`)
    expect(texts['gangflow']).toMatch(/0 done.*1 a step failed.*130 cancelled/s)
  })

  it.each(Object.keys(texts))('of %s is what yargs prints', (name) => {
    expect(name === 'gangflow' ? gangflow('--help') : gangflow(name, '--help')).toBe(texts[name])
  })

  it('is there for no words at all, -h and `help COMMAND` too', () => {
    expect(gangflow()).toBe(texts['gangflow'])
    expect(gangflow('-h')).toBe(texts['gangflow'])
    expect(gangflow('help', 'run')).toBe(texts['run'])
  })
})
