import { describe, expect, it } from 'vitest'
import { certificatesAside, takeUpCertificates } from '../../src/process/extra-certificates.js'

describe('NODE_EXTRA_CA_CERTS', () => {
  it('is kept from a process that needs none, and given to those below it', () => {
    const env = certificatesAside({ PATH: '/bin', NODE_EXTRA_CA_CERTS: '/ca.pem' })
    expect(env['NODE_EXTRA_CA_CERTS']).toBeUndefined()
    takeUpCertificates(env)
    expect(env).toEqual({ PATH: '/bin', NODE_EXTRA_CA_CERTS: '/ca.pem' })
  })

  it('is nobody’s business where it is not set', () => {
    const env = certificatesAside({ PATH: '/bin' })
    takeUpCertificates(env)
    expect(env).toEqual({ PATH: '/bin' })
  })
})
