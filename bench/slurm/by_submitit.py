"""An array of empty tasks by submitit: COUNT FOLDER."""
import sys

import submitit

count, folder = int(sys.argv[1]), sys.argv[2]
executor = submitit.SlurmExecutor(folder=folder)
executor.update_parameters(time=10, array_parallelism=count, cpus_per_task=1, use_srun=True)
jobs = executor.map_array(abs, list(range(count)))
assert [job.result() for job in jobs] == list(range(count))
