import type { Argv } from 'yargs'

/** One subcommand: its words for yargs, and where its code is (loaded only when it is called). */
export interface CommandDefinition {
  readonly name: string
  readonly usage: string
  readonly describe: string
  readonly options: (yargs: Argv) => Argv
  readonly examples?: readonly (readonly [command: string, what: string])[]
  /** `rest` are the words that are no option of the command: the flow's own parameters. */
  readonly load: () => Promise<CommandModule>
  /** True where unknown flags are the flow's parameters. */
  readonly parameters?: boolean
  /** After so many words that are no options, all the rest is handed on as it is. */
  readonly handsOn?: number
}

export interface CommandModule {
  command(args: Arguments, rest: readonly string[]): Promise<number | undefined>
}

/** Parsed options; each command reads its own. */
export type Arguments = Readonly<Record<string, unknown>>

const flowFile = (yargs: Argv): Argv =>
  yargs.positional('flow', { type: 'string', demandOption: true, describe: 'file that exports the flow' })

const store = (yargs: Argv): Argv =>
  yargs.option('datastore', {
    type: 'string',
    requiresArg: true,
    describe: 'directory of the datastore (default: .gangflow/ beside the nearest package.json)',
  })

const hosts = (yargs: Argv): Argv =>
  yargs
    .option('hosts', {
      type: 'string',
      requiresArg: true,
      describe: 'a,b:22,user@c: run gangs on these over SSH; one member a name',
    })
    .option('hosts-file', {
      type: 'string',
      requiresArg: true,
      describe: 'file of hosts: `host slots=4 user=me` a line',
    })
    .option('ssh-config', { type: 'string', requiresArg: true, describe: 'configuration for ssh (default: your own)' })
    .option('ssh-option', {
      type: 'string',
      array: true,
      requiresArg: true,
      nargs: 1,
      describe: 'Name=value for ssh -o; repeatable',
    })

const backend = (yargs: Argv): Argv =>
  yargs
    .option('backend', {
      type: 'string',
      requiresArg: true,
      describe: "where gangs run: 'local' (default), 'ssh', or a package's, such as 'slurm'",
    })
    .option('backend-option', {
      type: 'string',
      array: true,
      requiresArg: true,
      nargs: 1,
      describe: 'NAME=VALUE for the backend, such as partition=gpu; repeatable',
    })

const running = (yargs: Argv): Argv =>
  backend(hosts(store(yargs)))
    .option('max-workers', {
      type: 'number',
      requiresArg: true,
      describe: 'tasks at once (default: the CPUs this process may use)',
    })
    .option('tag', { type: 'string', array: true, requiresArg: true, nargs: 1, describe: 'tag of the run; repeatable' })
    .option('env', {
      type: 'string',
      array: true,
      requiresArg: true,
      nargs: 1,
      describe: 'NAME=VALUE, or NAME to pass on, for every step; repeatable',
    })
    .option('timeout', { type: 'string', requiresArg: true, describe: 'limit on the whole run, such as 2h' })
    .option('inspect', {
      type: 'string',
      requiresArg: true,
      describe: 'STEP[/NODE]: stop in that step under the debugger',
    })
    .option('dry-run', { type: 'boolean', describe: 'print what would be started, and start nothing' })
    .option('detach', {
      type: 'boolean',
      describe: 'print the id and leave once the first jobs are handed over; `gangflow attach` goes on from there',
    })
    .option('detach-on-interrupt', { type: 'boolean', describe: 'on INT, TERM and HUP leave the run to its jobs' })

/** Every subcommand, in the order of `--help`. */
export const commands: readonly CommandDefinition[] = [
  {
    name: 'run',
    usage: 'run <flow>',
    describe: 'Run a flow',
    options: (yargs) =>
      running(flowFile(yargs)).option('param', {
        type: 'string',
        array: true,
        requiresArg: true,
        nargs: 1,
        describe: "NAME=VALUE of a parameter whose flag would be one of gangflow's own; repeatable",
      }),
    examples: [
      ['gangflow run flow.ts', 'run it on this machine'],
      ['gangflow run flow.ts --lr 0.05 --tag baseline', "with a value for the flow's parameter `lr`"],
      ['gangflow run flow.ts --json', 'one JSON object an event, for programs'],
    ],
    parameters: true,
    load: () => import('./commands/run.js'),
  },
  {
    name: 'resume',
    usage: 'resume <flow>',
    describe: 'Run a flow again, reusing the finished tasks of an earlier run',
    options: (yargs) =>
      running(flowFile(yargs))
        .option('origin', { type: 'string', requiresArg: true, describe: 'run to resume (default: the newest)' })
        .option('from', {
          type: 'string',
          requiresArg: true,
          describe: 'step to begin again from (default: what is not done)',
        }),
    examples: [['gangflow resume flow.ts --from train', 'reuse all that came before `train`']],
    load: () => import('./commands/resume.js'),
  },
  {
    name: 'attach',
    usage: 'attach <run>',
    describe: 'Take up a run that goes on in its jobs: a detached one, or one whose launcher died',
    options: (yargs) =>
      store(
        yargs.positional('run', {
          type: 'string',
          demandOption: true,
          describe: "[FLOW/]RUN, or a flow's name for its newest run",
        }),
      )
        .option('take-over', { type: 'boolean', describe: 'also from a launcher that lives, which then leaves' })
        .option('cancel', { type: 'boolean', describe: 'end its jobs, and the run' })
        .option('detach-on-interrupt', { type: 'boolean', describe: 'on INT, TERM and HUP leave the run to its jobs' }),
    examples: [
      ['gangflow attach Train/1763', 'follow it to its end; Ctrl-C and d leaves it again'],
      ['gangflow attach Train --cancel', 'end the newest run of Train'],
    ],
    load: () => import('./commands/attach.js'),
  },
  {
    name: 'check',
    usage: 'check <flow>',
    describe: 'Check a flow without running it',
    options: (yargs) =>
      store(flowFile(yargs)).option('package', {
        type: 'boolean',
        describe: 'say too what would travel to hosts that are sent the code',
      }),
    load: () => import('./commands/check.js'),
  },
  {
    name: 'show',
    usage: 'show <flow>',
    describe: "Show a flow's graph",
    options: (yargs) =>
      store(flowFile(yargs)).option('format', {
        choices: ['text', 'mermaid'] as const,
        default: 'text' as const,
        describe: 'how to draw it',
      }),
    load: () => import('./commands/show.js'),
  },
  {
    name: 'runs',
    usage: 'runs [flow]',
    describe: 'List runs, newest first',
    options: (yargs) =>
      store(yargs.positional('flow', { type: 'string', describe: "a flow's name (default: all)" }))
        .option('status', {
          choices: ['running', 'detached', 'done', 'failed', 'cancelled', 'lost'] as const,
          describe: 'only runs in this state',
        })
        .option('tag', { type: 'string', requiresArg: true, describe: 'only runs with this tag' })
        .option('limit', { type: 'number', requiresArg: true, default: 20, describe: 'how many at most' }),
    load: () => import('./commands/runs.js'),
  },
  {
    name: 'logs',
    usage: 'logs <path>',
    describe: 'Print what the processes of a task printed',
    options: (yargs) =>
      store(
        yargs.positional('path', {
          type: 'string',
          demandOption: true,
          describe: '[FLOW/]RUN[/STEP[/TASK]], such as 1763/train/1',
        }),
      )
        .option('node', { type: 'number', requiresArg: true, describe: 'only this node of a gang' })
        .option('process', { type: 'string', requiresArg: true, describe: 'only this process, such as body or rank3' })
        .option('stream', { choices: ['stdout', 'stderr'] as const, describe: 'only this stream' })
        .option('attempt', { type: 'number', requiresArg: true, describe: 'this attempt (default: the last)' })
        .option('tail', { type: 'number', requiresArg: true, describe: 'only the last lines of each process' })
        .option('follow', { type: 'boolean', describe: 'go on with what comes, until the processes have ended' })
        .option('prefix', { type: 'boolean', default: true, describe: 'begin each line with where it comes from' }),
    load: () => import('./commands/logs.js'),
  },
  {
    name: 'ssh',
    usage: 'ssh <path> <node> [command..]',
    describe: 'Look around on a node of a gang that runs now',
    options: (yargs) =>
      yargs
        .positional('path', { type: 'string', demandOption: true, describe: '[FLOW/]RUN[/STEP[/TASK]]' })
        .positional('node', { type: 'string', demandOption: true, describe: 'its index, member id, host or address' })
        .positional('command', { type: 'string', array: true, describe: 'what to run (default: a shell)' })
        .option('tty', { alias: 't', type: 'boolean', describe: 'give the command a terminal' }),
    examples: [
      ['gangflow ssh Train/1763/fit 2', 'a shell on node 2'],
      ['gangflow ssh 1763 0 nvidia-smi -l 1', 'one command; options of gangflow stand before the path'],
    ],
    handsOn: 2,
    load: () => import('./commands/ssh.js'),
  },
  {
    name: 'artifacts',
    usage: 'artifacts <path> [name]',
    describe: "List a task's artifacts, or print one",
    options: (yargs) =>
      store(
        yargs
          .positional('path', {
            type: 'string',
            demandOption: true,
            describe: '[FLOW/]RUN[/STEP[/TASK]]; a run alone means its end',
          })
          .positional('name', { type: 'string', describe: 'artifact to print' }),
      )
        .option('node', { type: 'number', requiresArg: true, describe: "a gang member's artifacts" })
        .option('out', { type: 'string', requiresArg: true, describe: 'write the value to this file or folder' }),
    load: () => import('./commands/artifacts.js'),
  },
  {
    name: 'doctor',
    usage: 'doctor [flow]',
    describe: 'Look at this machine, and at hosts, for what would make a run fail',
    options: (yargs) =>
      backend(
        hosts(
          store(
            yargs.positional('flow', {
              type: 'string',
              describe: "only what this flow's plugins need (default: all that are installed)",
            }),
          ),
        ),
      )
        .option('fan-out', {
          type: 'number',
          requiresArg: true,
          describe: 'hosts that are logged in to at once (default: 32)',
        })
        .option('timeout', { type: 'string', requiresArg: true, describe: 'for each host (default: 2m)' }),
    examples: [
      ['gangflow doctor', 'this machine'],
      ['gangflow doctor --backend slurm', 'the engine too, and what its nodes see'],
      ['gangflow doctor flow.ts --hosts a,b,c', 'the hosts and the ways between them too; puts what a run needs there'],
    ],
    load: () => import('./commands/doctor.js'),
  },
  {
    name: 'plugins',
    usage: 'plugins',
    describe: 'List the plugins and backends installed here',
    options: (yargs) => yargs,
    load: () => import('./commands/plugins.js'),
  },
  {
    name: 'init',
    usage: 'init [folder]',
    describe: 'Begin a project: a flow that runs, and what it needs',
    options: (yargs) => yargs.positional('folder', { type: 'string', default: '.', describe: 'where' }),
    load: () => import('./commands/init.js'),
  },
  {
    name: 'gc',
    usage: 'gc',
    describe: 'Delete old runs and what nothing refers to any more',
    options: (yargs) =>
      store(yargs)
        .option('keep', {
          type: 'number',
          requiresArg: true,
          demandOption: true,
          describe: 'how many of the newest runs of each flow to keep',
        })
        .option('flow', { type: 'string', requiresArg: true, describe: 'only this flow' })
        .option('dry-run', { type: 'boolean', describe: 'say what would be deleted, and delete nothing' }),
    load: () => import('./commands/gc.js'),
  },
]
