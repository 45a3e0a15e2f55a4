/** Codes of `backend/ssh`: `E_NAME: 'one-line meaning'`. */
export const sshCodes = {
  E_SSH_BUSY: "a host's SSH server closed the connection before the login, several times",
  E_SSH_CONFIG: "the SSH client refuses the person's configuration",
  E_SSH_DELIVERY: 'what an agent needs could not be put onto a host',
  E_SSH_DENIED: 'a host accepts none of the keys that the SSH client has',
  E_SSH_FAILED: 'the SSH connection to a host ended for a reason that is not known',
  E_SSH_HOST_KEY: 'the host key is not the one in known_hosts, or not there yet',
  E_SSH_HOST_UNFIT: 'a host cannot run an agent; the message says why',
  E_SSH_HOSTS: 'the list or file of hosts has a mistake, or is missing',
  E_SSH_NAME: 'the name of a host cannot be resolved',
  E_SSH_REFUSED: 'no SSH server listens at a host',
  E_SSH_SPOOLS: "the last lines of a member's processes could not be brought from its host",
  E_SSH_TOO_FEW_HOSTS: 'a step asks for more members than hosts are given',
  E_SSH_UNREACHABLE: 'a host cannot be reached',
} as const
