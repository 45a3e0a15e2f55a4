import { lookInto } from '../../gang/shell/client.js'
import { findLivingGang } from '../../gang/shell/living.js'
import type { CommandModule } from '../commands.js'

/** `gangflow ssh PATH NODE [COMMAND…]`: as `ssh` would, through the launcher of the living gang. */
export const command: CommandModule['command'] = async (args, words) => {
  const { socket } = await findLivingGang(String(args['path']))
  const { stdin, stdout, stderr } = process
  const tty = args['tty'] === true || (args['tty'] !== false && words.length === 0 && stdin.isTTY === true)
  return lookInto(socket, String(args['node']), words.length > 0 ? words.join(' ') : undefined, tty, {
    stdin,
    stdout,
    stderr,
  })
}
