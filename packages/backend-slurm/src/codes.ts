/** Codes of this backend; docs/reference/errors.md lists the same under `backend-slurm`. */
export const codes = {
  E_SLURM_OPTION: 'an option of @slurm or of the backend is wrong',
  E_SLURM_COMMAND: "one of Slurm's commands cannot be run",
  E_SLURM_REFUSED: 'Slurm does not take the job',
  E_SLURM_TOO_FEW_NODES: 'the job that this process is in has fewer nodes than the gang has members',
  E_SLURM_NOT_SHARED: 'the flow needs a datastore that the nodes see',
  E_SLURM_NODE_UNFIT: 'a node lacks what a relayed gang needs',
  E_SLURM_UNHEARD: 'Slurm has not heard that a job is to end',
  E_SLURM_SPOOLS: "what a node's processes said last could not be brought",
} as const
