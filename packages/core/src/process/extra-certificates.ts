const name = 'NODE_EXTRA_CA_CERTS'
const aside = 'GANGFLOW_NODE_EXTRA_CA_CERTS'

/**
 * The environment for a Node process that speaks no TLS itself, such as an agent. Node 20 reads the certificates of
 * NODE_EXTRA_CA_CERTS, and all that it knows itself, at every start: twice the CPU time of the rest of the start.
 */
export function certificatesAside(env: Readonly<Record<string, string>>): Record<string, string> {
  const { [name]: file, ...others } = env
  return file === undefined ? others : { ...others, [aside]: file }
}

/** Undoes it in such a process, so that what it starts has the variable under its own name. */
export function takeUpCertificates(env: NodeJS.ProcessEnv = process.env): void {
  if (env[aside] === undefined) return
  env[name] = env[aside]
  delete env[aside]
}
