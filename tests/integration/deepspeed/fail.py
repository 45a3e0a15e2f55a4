import glob
import os
import signal
import sys

import deepspeed
import torch

deepspeed.init_distributed("gloo")
rank = torch.distributed.get_rank()
torch.distributed.barrier()
if rank == 0:
    mine = "/dev/shm/deepspeed_allreduce_buffer_*_%s_*" % os.environ["MASTER_PORT"]
    facts = [os.environ[name] for name in ("LOCAL_SIZE", "CROSS_RANK", "CROSS_SIZE")]
    print("buffers %d, places %s, words %s" % (len(glob.glob(mine)), " ".join(facts), sys.argv[1:3]), flush=True)
torch.distributed.barrier()
if rank == 1:
    if sys.argv[-3] == "0":
        os.kill(os.getpid(), signal.SIGKILL)
    raise ValueError("bad batch")
torch.distributed.barrier()
