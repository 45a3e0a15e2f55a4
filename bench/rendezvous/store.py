"""torch's TCPStore as a rendezvous: SIZE clients set a value, read the list of all, and meet at a counter."""

import json
import multiprocessing
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from torch.distributed import TCPStore

size = int(sys.argv[1])
limit = timedelta(seconds=300)


def cpu():
    times = os.times()
    return (times.user + times.system) * 1000


def serve(pipe):
    store = TCPStore("127.0.0.1", 0, None, True, timeout=limit, wait_for_workers=False)
    before = cpu()
    pipe.send(store.port)
    pipe.recv()
    pipe.send(cpu() - before)


if __name__ == "__main__":
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(there,))
    process.start()
    port = here.recv()
    began, spent = time.monotonic(), cpu()
    clients = [None] * size

    def join(index):
        clients[index] = TCPStore("127.0.0.1", port, None, False, timeout=limit, wait_for_workers=False)
        clients[index].set(f"m{index}", "x" * 300)
        clients[index].add("joined", 1)

    def meet(index):
        clients[index].get("roster")
        clients[index].add("met", 1)

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(join, range(size)))
        clients[0].set("roster", "".join(clients[0].get(f"m{index}").decode() for index in range(size)))
        list(pool.map(meet, range(size)))
        assert clients[0].add("met", 0) == size
    took, client = (time.monotonic() - began) * 1000, cpu() - spent
    here.send(None)
    print(json.dumps({"ms": took, "client": client, "server": here.recv()}))
    process.join()
