import type { Algorithms } from 'ssh2'

/**
 * What both sides speak, best first: only what is current. No chacha20-poly1305 and no CBC with encrypt-then-MAC, which
 * the Terrapin attack (CVE-2023-48795) needs, besides strict key exchange, which ssh2 always offers.
 */
export const algorithms: Algorithms = {
  kex: ['curve25519-sha256', 'curve25519-sha256@libssh.org'],
  serverHostKey: ['ssh-ed25519'],
  cipher: ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'aes256-ctr'],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com'],
  compress: ['none'],
}

/** Of this side in the first line of the protocol: OpenSSH says only to its like that its reader has gone. */
export const IDENT = 'OpenSSH_gangflow'
