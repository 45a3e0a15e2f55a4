import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'

/** A key and its certificate, both as PEM. */
export interface Certificate {
  readonly key: string
  readonly cert: string
}

/**
 * A key of P-256 with a certificate that it has signed itself (X.509 v3, RFC 5280), good for servers and clients for
 * `days`: whoever trusts this one alone trusts its holders alone.
 */
export function selfSigned(name: string, days: number, now: Date = new Date()): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const algorithm = sequence(oid('1.2.840.10045.4.3.2')) // ecdsa-with-SHA256
  const subject = sequence(set(sequence(oid('2.5.4.3'), der(0x0c, Buffer.from(name)))))
  const until = new Date(now.getTime() + days * 86_400_000)
  // An hour back: the hosts' clocks differ.
  const validity = sequence(time(new Date(now.getTime() - 3_600_000)), time(until))
  const isCa = extension('2.5.29.19', sequence(der(0x01, Buffer.from([0xff]))))
  const usage = extension('2.5.29.37', sequence(oid('1.3.6.1.5.5.7.3.1'), oid('1.3.6.1.5.5.7.3.2')))
  const serial = Buffer.concat([Buffer.from([1]), randomBytes(15)])
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, serial),
    algorithm,
    subject,
    validity,
    subject,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(isCa, usage)),
  )
  const signature = sign('sha256', body, privateKey)
  const whole = sequence(body, algorithm, der(0x03, Buffer.concat([Buffer.from([0]), signature])))
  const lines = whole.toString('base64').replace(/.{64}/g, '$&\n').trimEnd()
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
  }
}

/** Tag, length, value: DER, X.690. */
function der(tag: number, value: Uint8Array): Buffer {
  const { length } = value
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...size]), value])
}

const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, Buffer.concat(parts))
const set = (...parts: readonly Uint8Array[]): Buffer => der(0x31, Buffer.concat(parts))
const extension = (id: string, value: Uint8Array): Buffer => sequence(oid(id), der(0x04, value))

function oid(text: string): Buffer {
  const [first, second, ...rest] = text.split('.').map(Number)
  const bytes = rest.flatMap((number) => {
    const groups = [number & 127]
    for (let left = number >> 7; left > 0; left >>= 7) groups.unshift((left & 127) | 128)
    return groups
  })
  return der(0x06, Buffer.from([first! * 40 + second!, ...bytes]))
}

const time = (date: Date): Buffer => der(0x17, Buffer.from(`${date.toISOString().slice(2, 19).replace(/[-:T]/g, '')}Z`))
