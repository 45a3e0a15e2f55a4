import { exitCodes } from '../../errors/exit-codes.js'
import type { CommandModule } from '../commands.js'
import { findPlugins } from '../installed-plugins.js'
import { styleOf } from '../style.js'
import { table } from '../table.js'

/** `gangflow plugins`: what this folder's package depends on that extends gangflow, and whether it loads. */
export const command: CommandModule['command'] = async (args) => {
  const plugins = await findPlugins(process.cwd())
  if (args['json'] === true) console.log(JSON.stringify(plugins, ['name', 'version', 'kind', 'status'], 2))
  else if (plugins.length === 0) console.log('no plugins: this package depends on none')
  else {
    const style = styleOf(process.stdout, args)
    const rows = plugins.map(({ name, version, kind, status }) => [
      name,
      version,
      kind,
      status === 'ok' ? style.green('ok') : style.red(status),
    ])
    console.log(table(['package', 'version', 'kind', 'status'], rows, style))
  }
  return exitCodes.ok
}
