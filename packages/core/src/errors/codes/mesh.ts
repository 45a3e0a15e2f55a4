/** Codes of the mesh: `E_NAME: 'one-line meaning'`. */
export const meshCodes = {
  E_MESH_CHANNEL_LOST: 'the SSH connection to a member broke, or it opened no channel',
  E_MESH_HOST_KEY: "who answers at a member's address shows another host key than the member's",
  E_MESH_LISTEN: 'the SSH server of a member cannot listen at its address',
  E_MESH_NO_HELPER: 'a command over SSH cannot be started, for want of the native helper',
  E_MESH_NOT_LET_IN: "who answers at a member's address does not let the gang's key in",
  E_MESH_REFUSED: "nobody listens any more at a member's SSH address",
  E_MESH_SFTP: 'an SFTP client asked for what cannot be',
  E_MESH_UNREACHABLE: "a member's SSH address cannot be reached",
} as const
