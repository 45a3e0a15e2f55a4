"""A group-by over files that are together larger than what one worker may hold."""
import json
import os
import sys
from types import SimpleNamespace

import dask.dataframe as dd
import numpy as np
import pandas as pd
from distributed import Client

folder, files, rows = sys.argv[1], 60, 600_000


def write(number):
    random = np.random.default_rng(number)
    frame = pd.DataFrame({"key": np.arange(rows) % 7, "a": random.random(rows), "b": random.random(rows), "n": number})
    path = f"{folder}/{number}.parquet"
    frame.to_parquet(path)
    return os.path.getsize(path), int(os.environ["GANGFLOW_NODE"])


def page(dask_scheduler):
    """Whom the scheduler's page names, which is to be JSON also while tasks end."""
    from distributed.http.scheduler.json import IdentityJSON

    for worker in dask_scheduler.workers.values():
        worker.metrics["digests_total_since_heartbeat"] = {("execute", "sum"): 1}
    said = []
    IdentityJSON.get(SimpleNamespace(server=dask_scheduler, write=said.append))
    return sorted(one["name"] for one in json.loads(json.dumps(said[0]))["workers"].values())


if __name__ == "__main__":
    with Client() as client:
        os.makedirs(folder)
        wrote = client.gather(client.map(write, range(files)))
        limit = min(worker["memory_limit"] for worker in client.scheduler_info()["workers"].values())
        grouped = dd.read_parquet(folder).groupby("key").agg({"a": "mean", "n": "sum", "b": "count"}).compute()
        print(json.dumps({
            "over": sum(size for size, _ in wrote) / limit,
            "page": client.run_on_scheduler(page),
            "nodes": sorted({node for _, node in wrote}),
            "mean": float(grouped["a"].mean()),
            "n": int(grouped["n"].sum()),
            "count": int(grouped["b"].sum()),
        }))
