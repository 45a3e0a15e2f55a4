/** Codes of the body rooms: `E_NAME: 'one-line meaning'`. */
export const bodyCodes = {
  E_PROTOCOL_FRAME: 'a message on a body socket that is malformed or larger than allowed; the connection was closed',
  E_PROTOCOL_VERSION: 'two processes of one run speak different major versions of the protocol',
  E_PROTOCOL_METHOD: 'a call of a method that the other side does not have',
  E_PROTOCOL_HELLO: 'a process that its host does not know, or that sent something else before its hello',
  E_PEER_CLOSED: 'the other side closed the connection while a call was open',
  E_PEER_TIMEOUT: 'the other side did not answer a call within its deadline',
  E_PEER_ABORTED: 'a call was given up by its caller',
  E_PEER_FAULT: 'the other side failed while it answered a call',
} as const
