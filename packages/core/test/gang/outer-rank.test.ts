import { expect, it } from 'vitest'
import { isOuterRank } from '../../src/gang/agent/outer-rank.js'

it('tells what names a rank of an outer job from what tunes the programs of this one', () => {
  const outer = [
    ...['OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_LOCAL_RANK', 'OMPI_UNIVERSE_SIZE', 'OMPI_MCA_ess'],
    ...['OMPI_MCA_ess_base_jobid', 'OMPI_MCA_orte_hnp_uri', 'PMIX_NAMESPACE', 'PMIX_RANK', 'PMIX_SERVER_URI41'],
    ...['PMI_RANK', 'PMI_SIZE', 'PMI_FD', 'HYDI_CONTROL_FD', 'MV2_COMM_WORLD_LOCAL_RANK'],
  ]
  const tuning = [
    ...[
      'OMPI_MCA_btl',
      'OMPI_MCA_pml',
      'OMPI_MCA_orte_tmpdir_base',
      'OMPI_ALLOW_RUN_AS_ROOT',
      'OMPI_CC',
      'OMPI_MCA_pmix',
    ],
    ...[
      'PMIX_MCA_gds',
      'PMI_MMAP_SYNC_WAIT_TIME',
      'PRTE_MCA_plm',
      'HYDRA_IFACE',
      'I_MPI_FABRICS',
      'SLURM_JOB_ID',
      'RANK',
    ],
  ]
  expect([...outer, ...tuning].filter(isOuterRank)).toEqual(outer)
})
