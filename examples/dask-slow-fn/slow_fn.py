"""Evaluates a slow function of a parameter vector for 512 vectors, on every worker of the Dask cluster."""
import json
import os
import random
import time

from distributed import Client


def slow_fn(args):
    n = 10_000
    y = 0.0
    for j in range(n):
        x = j / n
        for i, p in enumerate(args):
            y += x * p ** (i + 1)
    return y / n, os.environ.get("GANGFLOW_NODE", "?")


if __name__ == "__main__":
    with Client() as client:  # finds the cluster of the gang, and its certificate, in the environment
        random.seed(1)
        jobs = [[random.random() for _ in range(5)] for _ in range(512)]
        started = time.perf_counter()
        done = client.gather(client.map(slow_fn, jobs))
        took = time.perf_counter() - started
        nodes = sorted({node for _, node in done})
        total = sum(y for y, _ in done)
        print(json.dumps({"jobs": len(done), "sum": total, "nodes": nodes, "seconds": round(took, 2)}))
