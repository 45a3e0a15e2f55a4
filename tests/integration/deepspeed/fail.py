import glob
import os
import signal
import sys
import time

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
fault = sys.argv[-3]
if rank == 1:
    if fault == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "raise":
        raise ValueError("bad batch")
    if fault == "launcher":
        os.kill(os.getppid(), signal.SIGKILL)
    print("rank 1 hangs", flush=True)
    time.sleep(3600)
torch.distributed.barrier()
