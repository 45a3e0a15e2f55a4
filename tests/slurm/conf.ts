// The configuration of a test cluster: several slurmd on one machine, every file below one folder. Pure.

/** What a cluster is made of. */
export interface ClusterPlan {
  readonly folder: string
  /** `hostname -s` of this machine. */
  readonly machine: string
  readonly user: string
  readonly nodes: number
  /** CPUs that each node says it has. */
  readonly cpus: number
  readonly ctldPort: number
  readonly slurmdPorts: readonly number[]
  /** Further lines of slurm.conf. */
  readonly settings: readonly string[]
}

export const nodeName = (index: number): string => `lab${index}`

/**
 * `slurm.conf`. Short times, so that faults are seen within seconds; jobs in `urgent` preempt those in `main`, which are
 * requeued after their warning signal.
 */
export function slurmConf(plan: ClusterPlan): string {
  const { folder, machine, user, nodes, cpus, ctldPort, slurmdPorts, settings } = plan
  const hosts = Array.from(
    { length: nodes },
    (_, index) =>
      `NodeName=${nodeName(index)} NodeHostname=${machine} NodeAddr=127.0.0.1 Port=${slurmdPorts[index]} CPUs=${cpus} ` +
      `Boards=1 SocketsPerBoard=1 CoresPerSocket=${cpus} ThreadsPerCore=1 RealMemory=4000 State=UNKNOWN`,
  )
  const all = `${nodeName(0)}${nodes > 1 ? `,lab[1-${nodes - 1}]` : ''}`
  return `ClusterName=lab
SlurmctldHost=${machine}(127.0.0.1)
SlurmctldPort=${ctldPort}
AuthType=auth/munge
AuthInfo=socket=${folder}/munge.sock,cred_expire=5
CredType=cred/munge
SlurmUser=${user}
SlurmdUser=${user}
StateSaveLocation=${folder}/state
SlurmdSpoolDir=${folder}/spool/%n
SlurmctldPidFile=${folder}/slurmctld.pid
SlurmdPidFile=${folder}/slurmd-%n.pid
SlurmctldLogFile=${folder}/log/slurmctld.log
SlurmdLogFile=${folder}/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0,sched_min_interval=100000
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout=10
KillWait=3
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=${folder}/jobcomp.txt
JobRequeue=1
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
${settings.map((line) => `${line}\n`).join('')}${hosts.join('\n')}
PartitionName=main Nodes=${all} Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=20
PartitionName=urgent Nodes=${all} MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
`
}
