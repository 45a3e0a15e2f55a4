import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * Addresses of 127.0.0.1, each of another port, at which nobody listens: below what the kernel gives out by itself.
 * @param {number} count
 * @returns {Promise<string[]>}
 */
export async function freeAddresses(count) {
  const found = new Set()
  while (found.size < count) {
    const port = 10_000 + Math.floor(Math.random() * 20_000)
    const server = createServer().listen(port, '127.0.0.1')
    const free = await Promise.race([
      once(server, 'listening').then(() => true),
      once(server, 'error').then(() => false),
    ])
    server.close()
    if (free) found.add(`127.0.0.1:${port}`)
  }
  return [...found]
}
