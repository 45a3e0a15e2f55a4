import { join } from 'node:path'
import type { BodyEvent, BodyRun } from '../../body/contract.js'
import type { Methods } from '../../body/peer.js'
import { deriveKey } from '../keys.js'
import { RELAYED } from '../store.js'
import { bodyMethods } from './body-methods.js'
import type { Reports } from './reports.js'
import type { Formed, MemberBody, MemberState, Parts } from './state.js'
import { type At, Whereabouts } from './whereabouts.js'

/** Gives this member's body its task; what comes of it is reported. */
export function runMemberBody(state: MemberState, parts: Parts, formed: Formed, reports: Reports): void {
  const { boot, place } = state
  const { formation, peers } = formed
  const { assignment } = parts.work
  const flow = state.flow!
  const body = { calls: 0, ended: false } as { run: BodyRun } & MemberBody
  state.body = body
  body.run = parts.host.run({
    spec: { compiled: flow, env: state.env },
    assignment: {
      ...assignment,
      ...(boot.datastore === RELAYED ? { datastore: parts.datastore.location } : {}),
      // Its folder is the body's, here.
      description: { ...assignment.description, file: flow.file },
      epoch: formation.epoch,
      node: place.node,
      temp: join(boot.member.temp, String(formation.epoch)),
      // An ordinary task on a node of its own is none the less an ordinary task.
      ...(isGang(assignment) ? { gang: { roster: formation.roster, attempt: boot.address.attempt } } : {}),
    },
    signal: state.stop.signal,
    inspect: formation.inspect === place.node,
    methods: methodsOf(state, parts, formed, body, reports),
    emit: (event) => tell(parts, event),
  })
  body.run.peer.then(
    (peer) => {
      body.peer = peer
    },
    () => {},
  )
  void body.run.outcome.then(async (outcome) => {
    body.ended = true
    if (state.stopping) return
    if (!outcome.ok) {
      // What the keeper's end took with it is no failure of its own.
      if (!state.keeperGone) reports.bodyFailed(outcome)
      return
    }
    // Whoever waits for more collectives from this member is told now, not at a deadline.
    const left = [{ node: place.node!, calls: body.calls }]
    if (formed.relay) formed.relay.leave(left)
    else (await peers.to(0).catch(() => undefined))?.call('left', { left }).catch(() => {})
    if (state.formed === formed && !state.stopping) reports.done(outcome)
  })
}

function methodsOf(
  state: MemberState,
  parts: Parts,
  { formation, peers, relay, channels, sealed }: Formed,
  body: MemberBody,
  reports: Reports,
): Methods {
  const { timeouts, secret, address } = state.boot
  const whereabouts = timeouts.progress === undefined ? undefined : new Whereabouts((at) => parts.data.tell('at', at))
  return bodyMethods({
    node: state.place.node,
    peers,
    sealed,
    relay,
    raw: parts.raw,
    channels,
    cwd: state.cwd,
    shell: parts.shell,
    timeoutMs: timeouts.collective,
    key: (label) => deriveKey(secret, address, `plugin/${formation.epoch}/${label}`),
    fail: (casualty, cause) => reports.blame(casualty, cause),
    progress: (data) => parts.data.tell('progress', data),
    ...(whereabouts ? { at: (at: At) => (whereabouts.at = at) } : {}),
    called: (seq) => {
      body.calls = Math.max(body.calls, seq)
    },
  })
}

const isGang = ({ description, address }: Parts['work']['assignment']): boolean =>
  description.steps.find(({ name }) => name === address.step)?.gang !== undefined

/** What the live view hears of a body. */
function tell({ live, data }: Parts, event: BodyEvent): void {
  if (event.type === 'line') {
    const { stream, text, skipped } = event
    live.line({ process: 'body', stream, text, ...(skipped ? { skipped } : {}) })
  } else if (event.type === 'state') data.tell('state', { state: event.state })
  else if (event.type === 'progress') data.tell('progress', event.data)
  else if (event.type === 'inspect')
    live.line({ process: 'body', stream: 'stderr', text: `Debugger listening on ${event.url}` })
}
