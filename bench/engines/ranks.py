import time

print("first line at %d" % time.monotonic_ns(), flush=True)
import os  # noqa: E402
import signal  # noqa: E402

import deepspeed  # noqa: E402
import torch  # noqa: E402

deepspeed.init_distributed("gloo")
torch.distributed.barrier()
print("met at %d" % time.monotonic_ns(), flush=True)
if os.environ.get("BENCH_FAULT"):
    if torch.distributed.get_rank() == 1:
        print("killed at %d" % time.monotonic_ns(), flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    torch.distributed.barrier()
