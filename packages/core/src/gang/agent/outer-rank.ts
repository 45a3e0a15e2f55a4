const outerRank = new RegExp(
  `^(?:${[
    'OMPI_(?:COMM_WORLD_\\w+|WORLD_(?:LOCAL_)?SIZE|UNIVERSE_SIZE|APP_CTX_NUM_PROCS|NUM_APP_CTX|FIRST_RANKS|FILE_LOCATION)',
    'OMPI_MCA_(?:ess|ess_base_(?:jobid|vpid)|initial_wdir|num_procs)',
    'OMPI_MCA_orte_(?:app_num|bound_at_launch|ess_\\w+|hnp_uri|jobfam_session_dir|launch|local_daemon_uri|num_nodes)',
    'OMPI_MCA_orte_(?:precondition_transports|top_session_dir)',
    'PMIX_(?:ID|NAMESPACE|RANK|HOSTNAME|SERVER_\\w+|SYSTEM_TMPDIR|DSTORE_\\w+|GDS_MODULE|SECURITY_MODE|BFROP_BUFFER_TYPE|VERSION)',
    'PMI_(?:RANK|SIZE|FD|PORT|ID|KVS|JOBID|SPAWNED|LOCAL_RANK|LOCAL_SIZE|UNIVERSE_SIZE|APPNUM|HOSTNAME|CONTROL_PORT)',
    'HYDI_\\w+|MV2_COMM_WORLD_\\w+|PRTE_LAUNCHED',
  ].join('|')})$`,
)

/**
 * Whether it is a variable by which a process manager tells a process which rank it is, of which job, and where that job's
 * daemons are: of Open MPI's mpirun, of PMIx and PMI (Slurm's srun speaks them too), Hydra and MVAPICH. Not what tunes
 * them. A launcher or a rank that had them from an outer job would take itself for a part of that. Pure.
 */
export const isOuterRank = (name: string): boolean => outerRank.test(name)
