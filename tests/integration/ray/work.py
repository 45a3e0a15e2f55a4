"""What people do with Ray: a function on every node, an actor with state, a map over data."""
import gzip
import json
import os
import subprocess
import sys

import numpy as np
import ray

digits, mark = sys.argv[1:3]
ray.init()


def on(node):
    return {"num_cpus": 0.1, "resources": {f"gang_node_{node}": 0.1}}


@ray.remote
def where():
    print("a worker prints")
    # In a session of its own, as a daemon is: it must not outlive the gang.
    subprocess.Popen(["sleep", mark], start_new_session=True, stdin=subprocess.DEVNULL)
    return int(os.environ["GANGFLOW_NODE"]), os.environ.get("OF_THE_JOB")


@ray.remote
class Counter:
    def __init__(self):
        self.sum = 0

    def add(self, n):
        self.sum += n
        return self.sum


@ray.remote
def sums(rows):
    """Of each class: the sum of its images, and their number."""
    pixels, classes = rows[:, :-1], rows[:, -1].astype(int)
    hot = np.eye(10)[classes]
    return hot.T @ pixels, hot.sum(0)


nodes = len([node for node in ray.nodes() if node["Alive"]])
visited = ray.get([where.options(**on(node)).remote() for node in range(nodes)])
counter = Counter.options(**on(nodes - 1)).remote()
total = ray.get([counter.add.remote(n) for n in range(10)])[-1]
with gzip.open(digits, "rt") as file:
    rows = np.loadtxt(file, delimiter=",")
parts = ray.get([sums.remote(part) for part in np.array_split(rows, 8)])
means = sum(part[0] for part in parts) / sum(part[1] for part in parts)[:, None]
guess = ((rows[:, None, :-1] - means[None]) ** 2).sum(2).argmin(1)
accuracy = float((guess == rows[:, -1]).mean())
print(json.dumps({"nodes": [node for node, _ in visited], "env": visited[0][1], "total": total, "accuracy": accuracy}))
