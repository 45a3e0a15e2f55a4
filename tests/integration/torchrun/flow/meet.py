"""The ranks meet by gloo, and say on which address."""

import datetime
import os

import torch
import torch.distributed as dist

dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=60))
x = torch.ones(1)
dist.all_reduce(x)
print(f"sum {x.item():.0f} by {os.environ['MASTER_ADDR']} on {os.environ.get('GLOO_SOCKET_IFNAME')}", flush=True)
dist.barrier()
dist.destroy_process_group()
