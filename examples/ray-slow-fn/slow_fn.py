"""Evaluates a slow function of a parameter vector for 512 vectors, on every CPU of the Ray cluster."""
import json
import os
import random
import time

import ray


@ray.remote
def slow_fn(args):
    n = 10_000
    y = 0.0
    for j in range(n):
        x = j / n
        for i, p in enumerate(args):
            y += x * p ** (i + 1)
    return y / n, os.environ.get("GANGFLOW_NODE", "?")


ray.init()  # finds the cluster of the gang in RAY_ADDRESS
random.seed(1)
jobs = [[random.random() for _ in range(5)] for _ in range(512)]
started = time.perf_counter()
pending = [slow_fn.remote(job) for job in jobs]
done = {}
while pending:
    ready, pending = ray.wait(pending, num_returns=min(64, len(pending)))
    done.update(zip(ready, ray.get(ready)))
    print(f"{len(done)} of {len(jobs)}", flush=True)
nodes = sorted({node for _, node in done.values()})
took = time.perf_counter() - started
print(json.dumps({"jobs": len(done), "sum": sum(y for y, _ in done.values()), "nodes": nodes, "seconds": round(took, 2)}))
ray.shutdown()
