import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import { pythonWithTorch } from '../../../scripts/python-env.mjs'
import type { Launcher } from '../src/options.js'
import { calling } from './call.js'

interface Seen {
  readonly environ: Record<string, string>
  readonly argv: string[]
  readonly sum: number
  readonly timeout: number
}

const args = ['--lr', 0.1, '', '{"a": "b c"}', "it's", '--lr', 2]
let python: string
beforeAll(async () => {
  python = await pythonWithTorch()
}, 600_000)

/** What the four ranks of two members see when launched so. */
const seenBy = (launcher: Launcher): Promise<Seen[]> =>
  calling(
    { options: { nprocPerNode: 2, processGroupTimeout: '77s' } },
    { entrypoint: 'all_reduce.py', args, launcher, python },
    ({ gang, settled }) => {
      expect(settled.map((one) => (one.status === 'rejected' ? one.reason : one.status))).toEqual([
        'fulfilled',
        'fulfilled',
      ])
      return [0, 1, 2, 3].map((rank) => {
        expect(gang.log(`rank${rank}`)).toBe(`rank ${rank} of 4\n`)
        const directory = gang.collected.get(`${rank >> 1}/torchOutput`)
        return JSON.parse(readFileSync(`${directory}/rank${rank}/seen.json`, 'utf8'))
      })
    },
  )

describe('a script that all-reduces over gloo', () => {
  const results = new Map<Launcher, Seen[]>()

  it.each(['torchrun', 'direct', 'prefork'] as const)(
    'runs by launcher %s',
    async (launcher) => {
      const seen = await seenBy(launcher)
      results.set(launcher, seen)
      for (const one of seen) {
        expect(one.sum).toBe(10)
        expect(one.timeout).toBe(77)
        expect(one.argv).toEqual(['all_reduce.py', ...args.map(String)])
      }
    },
    180_000,
  )

  it('sees the environment that torchrun sets, whoever launched it', () => {
    const plain = (seen: Seen, rank: number) => {
      const { MASTER_PORT, TORCHELASTIC_ERROR_FILE, GANGFLOW_OUTPUT_DIR, ...rest } = seen.environ
      expect(MASTER_PORT).toMatch(/^\d+$/)
      expect(TORCHELASTIC_ERROR_FILE).toMatch(/error\.json$/)
      expect(GANGFLOW_OUTPUT_DIR).toMatch(new RegExp(`/rank${rank}$`))
      return rest
    }
    for (const rank of [0, 1, 2, 3]) {
      const expected = plain(results.get('torchrun')![rank]!, rank)
      // Below torchrun its agent holds the ranks' store; otherwise rank 0 does.
      expect(expected['TORCHELASTIC_USE_AGENT_STORE']).toBe('True')
      expected['TORCHELASTIC_USE_AGENT_STORE'] = 'False'
      expect(plain(results.get('direct')![rank]!, rank)).toEqual(expected)
      expect(plain(results.get('prefork')![rank]!, rank)).toEqual(expected)
    }
  })
})

describe('launcher torchrun', () => {
  it('tells of a signal below torchrun as of any other', async () => {
    const call = { entrypoint: 'behave.py', args: ['0:stubborn', '1:then-kill'], launcher: 'torchrun', python } as const
    await calling({ size: 1, options: { nprocPerNode: 2 } }, call, ({ gang }) => {
      expect(gang.failures).toEqual([expect.objectContaining({ rank: 1, process: 'rank1', signal: 'SIGKILL' })])
    })
  }, 120_000)

  it.each(['raise', 'overtake'])(
    'tells of the first failing rank at once (%s), though torchrun waits for the deaf',
    async (verb) => {
      const call = {
        entrypoint: 'behave.py',
        args: ['0:stubborn', `1:then-${verb}`],
        launcher: 'torchrun',
        python,
      } as const
      await calling({ size: 1, options: { nprocPerNode: 2 } }, call, ({ gang }) => {
        expect(gang.failures).toEqual([
          expect.objectContaining({
            rank: 1,
            process: 'rank1',
            exitCode: 1,
            error: {
              code: 'E_TORCH_RANK',
              message: 'ValueError: bad batch',
              stack: expect.stringMatching(/behave\.py", line \d+, in deep/),
            },
          }),
        ])
        expect(gang.failures[0]!.lastLines!.at(-1)).toBe('ValueError: bad batch')
      })
    },
    120_000,
  )
})
