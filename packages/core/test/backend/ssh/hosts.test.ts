import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseHostList, readHostsFile } from '../../../src/backend/ssh/hosts.js'
import { planSsh } from '../../../src/backend/ssh/plan.js'
import type { SshWay } from '../../../src/backend/ssh/ssh-argv.js'

const way: SshWay = { program: 'ssh', options: [], connectSeconds: 10 }
const request = (size: number, resources = {}) => ({
  address: { flow: 'F', run: '1', step: 'fit', task: '1', attempt: 0 },
  step: { name: 'fit', plugins: [] } as never,
  size,
  resources,
})
const file = (text: string): string => {
  const path = join(mkdtempSync(join(tmpdir(), 'gangflow-hosts-')), 'hosts')
  writeFileSync(path, text)
  return path
}

describe('--hosts', () => {
  it('takes names, users, ports and addresses of both kinds', () => {
    expect(parseHostList('a, b:22,user@c,user@d:2222,10.0.0.1,[fd00::1]:22,fd00::2,x@fd00::3')).toEqual([
      { host: 'a' },
      { host: 'b', port: 22 },
      { host: 'c', user: 'user' },
      { host: 'd', user: 'user', port: 2222 },
      { host: '10.0.0.1' },
      { host: 'fd00::1', port: 22 },
      { host: 'fd00::2' },
      { host: 'fd00::3', user: 'x' },
    ])
  })

  it.each(['-oProxyCommand=x', 'a:0', 'a:70000', 'a:b', '@a', 'a b', 'a;b', '$(x)', 'user name@a'])(
    'refuses %s',
    (word) => {
      expect(() => parseHostList(`ok,${word}`)).toThrow(expect.objectContaining({ code: 'E_SSH_HOSTS' }))
    },
  )
})

describe('a hosts file', () => {
  it('has one host a line, with settings and comments', () => {
    const path = file(
      '# cluster\nn1 slots=4 gpus=2 user=me port=2222\n\n n2 python=/opt/py/bin/python workdir=~/gf # two\n',
    )
    expect(readHostsFile(path)).toEqual([
      { host: 'n1', slots: 4, gpus: 2, user: 'me', port: 2222 },
      { host: 'n2', python: '/opt/py/bin/python', workdir: '~/gf' },
    ])
  })

  it.each([
    ['n1 slot=4', /:1: 'slot=4' is no setting .*/],
    ['n1\nn2 slots=0', /:2: slots '0' is no whole number from 1/],
    ['n1 slots=1 slots=2', /given twice/],
    ['n1 workdir=gf', /no absolute path/],
    ['n1 user=', /no setting/],
    ['-x', /is no host/],
  ])('refuses %j with the line', (text, message) => {
    expect(() => readHostsFile(file(text))).toThrow(message)
  })

  it('that is not there is named', () => {
    expect(() => readHostsFile('/nowhere/hosts')).toThrow(/\/nowhere\/hosts cannot be read/)
  })
})

describe('the plan', () => {
  it('puts member i on the i-th host, one connection a host', () => {
    const plan = planSsh(request(4), parseHostList('a,b,a,u@a,c'), way)
    expect(plan.hosts.map(({ host, members }) => [host, members.map(({ memberId }) => memberId)])).toEqual([
      ['a', ['m0', 'm2']],
      ['b', ['m1']],
      ['a', ['m3']],
    ])
    expect(plan.hosts[2]!.argv.join(' ')).toMatch(/-l u -T a sh -s$/)
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan)
  })

  it('lets the step decide over the file, and the file over the host', () => {
    const hosts = readHostsFile(file('a slots=4 gpus=2\n'))
    expect(planSsh(request(1), hosts, way).hosts[0]!.members[0]).toMatchObject({ slots: 4, gpus: 2 })
    expect(planSsh(request(1, { cpu: 2, gpu: 1 }), hosts, way).hosts[0]!.members[0]).toMatchObject({
      slots: 2,
      gpus: 1,
    })
    expect(planSsh(request(1), parseHostList('a'), way).hosts[0]!.members[0]).not.toHaveProperty('slots')
  })

  it('refuses more members than hosts', () => {
    expect(() => planSsh(request(3), parseHostList('a,b'), way)).toThrow(/asks for 3 members, and 2 hosts are given/)
  })
})
