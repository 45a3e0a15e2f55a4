import type { NetworkInterfaceInfo } from 'node:os'
import { describe, expect, it } from 'vitest'
import { isLoopback, ownAddresses } from '../../src/discovery/own-addresses.js'

const v4 = (address: string, internal = false): NetworkInterfaceInfo => ({
  address,
  internal,
  family: 'IPv4',
  netmask: '255.255.255.0',
  mac: '',
  cidr: null,
})
const v6 = (address: string, scopeid = 0, internal = false): NetworkInterfaceInfo => ({
  ...v4(address, internal),
  family: 'IPv6',
  scopeid,
})

describe('the addresses of this machine', () => {
  it('are networks first, then VPNs, bridges to containers, and the loopback', () => {
    const found = ownAddresses({
      lo: [v4('127.0.0.1', true), v6('::1', 0, true)],
      docker0: [v4('172.17.0.1')],
      'br-7f1c': [v4('172.18.0.1')],
      tailscale0: [v4('100.64.0.3'), v6('fd7a::3')],
      eth0: [v6('2001:db8::3'), v4('10.0.0.3'), v6('fe80::1', 2)],
      ib0: [v4('10.9.0.3')],
      eth1: [v4('169.254.7.7')],
    })
    expect(found.map(({ address, link }) => `${link} ${address}`)).toEqual([
      'eth0 10.0.0.3',
      'ib0 10.9.0.3',
      'eth0 2001:db8::3',
      'tailscale0 100.64.0.3',
      'tailscale0 fd7a::3',
      'docker0 172.17.0.1',
      'br-7f1c 172.18.0.1',
      'eth1 169.254.7.7',
      'lo 127.0.0.1',
      'lo ::1',
    ])
  })

  it('leave out link-local ones, which mean nothing on another machine', () => {
    expect(ownAddresses({ eth0: [v6('fe80::1', 2), v6('febf::1', 2)], lo: [v4('127.0.0.1', true)] })).toEqual([
      { address: '127.0.0.1', link: 'lo', kind: 'loopback' },
    ])
  })

  it('are there on this machine', () => {
    expect(ownAddresses().map(({ address }) => address)).toContain('127.0.0.1')
  })

  it.each([
    ['127.0.1.1', true],
    ['::1', true],
    ['localhost', true],
    ['10.127.0.1', false],
    ['fd00::1', false],
  ])('of %s say whether it is the loopback', (address, is) => expect(isLoopback(address)).toBe(is))
})
