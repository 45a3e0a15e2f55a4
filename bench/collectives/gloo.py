"""One rank of torch.distributed's gloo: for each line `COUNT REPETITIONS` on stdin an all-reduce of float32, timed."""

import os
import sys
import time

import torch
import torch.distributed as dist

torch.set_num_threads(1)
dist.init_process_group("gloo", init_method=f"file://{sys.argv[1]}", rank=int(sys.argv[2]), world_size=int(sys.argv[3]))
buffer = torch.zeros(25 * 2**20)
print("ready", flush=True)
for line in sys.stdin:
    count, repetitions = map(int, line.split())
    array = buffer[:count]
    dist.barrier()
    begun = time.perf_counter()
    for _ in range(repetitions):
        dist.all_reduce(array)
    took = (time.perf_counter() - begun) * 1000 / repetitions
    dist.barrier()
    if dist.get_rank() == 0:
        print(took, flush=True)
os._exit(0)
