"""One pool library and one task: `contestant.py LIBRARY TASK WORKERS`, as contestant.mjs does it."""
import importlib
import sys
import time

# Of the last ones: mpi4py's workers have this file's name before them.
library, name, workers = sys.argv[-3], sys.argv[-2], int(sys.argv[-1])


def identity(x):
    return x


def tokenize(text):
    time.sleep(0.01)
    return text.split(" ")


def slow(args):
    n = 10000
    y = 0
    for j in range(n):
        j = j / n
        for i, p in enumerate(args):
            y += j * (p ** (i + 1))
    return y / n


def slow_malloc(args):
    import numpy as np

    n = 100000
    x = np.linspace(0, 1, n)
    y = np.zeros(n)
    for i, p in enumerate(args):
        y += x * (p ** (i + 1))
    return y.sum() / n


def first_of(array):
    array = array.copy() if not array.flags.writeable else array
    array[0] += 1
    return array


def spin(ms):
    until = time.perf_counter() + ms / 1000
    while time.perf_counter() < until:
        pass


def vectors(length):
    import random

    draw = random.Random(7)
    return [[draw.random() for _ in range(5)] for _ in range(length)]


def arrays():
    import numpy as np

    return [np.ones(1310720) for _ in range(100)]


TASKS = {
    "numbers": (identity, lambda: list(range(100000)), 100000),
    "strings": (identity, lambda: [f"item {i}" for i in range(100000)], 100000),
    "objects": (identity, lambda: [{"id": i, "name": f"n{i}", "score": i / 3} for i in range(100000)], 100000),
    "vectors": (identity, lambda: vectors(100000), 100000),
    "single": (identity, lambda: list(range(5000)), 5000),
    "texts": (identity, lambda: [f"item {i}" for i in range(5000)], 5000),
    "records": (identity, lambda: [{"id": i, "name": f"n{i}", "score": i / 3} for i in range(5000)], 5000),
    "cloned": (first_of, arrays, None),
    "moved": (first_of, arrays, None),
    "tokenize": (tokenize, lambda: ["a b c d e f g h i j"] * 100, None),
    "slow": (slow, lambda: vectors(512), None),
    "malloc": (slow_malloc, lambda: vectors(400), None),
    "skew": (spin, lambda: [20 if i < 64 else 0.05 for i in range(512)], None),
}
#: Items that must be handed out one by one.
ONE = {"single", "texts", "records", "cloned", "moved", "tokenize", "skew"}
#: What takes a millisecond or more for each item is not given a hundred thousand of them.
MOST = {"ray": 500, "dask": 500, "metaflow": 50, "pathos": 1000}


def serial():
    return lambda fn, items: [fn(item) for item in items], lambda: None


def multiprocessing():
    pool = importlib.import_module("multiprocessing").Pool(workers)
    return lambda fn, items: pool.map(fn, items, 1 if name in ONE else None), pool.terminate


def futures():
    pool = importlib.import_module("concurrent.futures").ProcessPoolExecutor(workers)
    return lambda fn, items: list(pool.map(fn, items, chunksize=1 if name in ONE else 16)), pool.shutdown


def loky():
    get = importlib.import_module("loky").get_reusable_executor
    pool = get(max_workers=workers)
    run = lambda fn, items: list(pool.map(fn, items, chunksize=1 if name in ONE else 16))
    return run, lambda: pool.shutdown(wait=True, kill_workers=True)


def joblib():
    lib = importlib.import_module("joblib")
    pool = lib.Parallel(workers, batch_size=1 if name in ONE else "auto")
    workers_of = importlib.import_module("joblib.externals.loky").get_reusable_executor
    run = lambda fn, items: pool(lib.delayed(fn)(item) for item in items)
    return run, lambda: workers_of().shutdown(wait=True, kill_workers=True)


def pathos():
    pool = importlib.import_module("pathos.multiprocessing").ProcessPool(workers)
    tqdm = importlib.import_module("tqdm").tqdm
    run = lambda fn, items: list(tqdm(pool.imap(fn, items), total=len(items), file=open("/dev/null", "w")))

    def end():
        pool.terminate()
        pool.join()
        pool.clear()

    return run, end


def ray():
    lib = importlib.import_module("ray")
    lib.init(num_cpus=workers, logging_level="ERROR", include_dashboard=False)

    def run(fn, items):
        remote = lib.remote(fn)
        return lib.get([remote.remote(item) for item in items])

    return run, lib.shutdown


def dask():
    Client = importlib.import_module("dask.distributed").Client
    client = Client(n_workers=workers, threads_per_worker=1, dashboard_address=None)
    return lambda fn, items: client.gather(client.map(fn, items, pure=False)), client.close


def mpi4py():
    pool = importlib.import_module("mpi4py.futures").MPIPoolExecutor(workers)
    return lambda fn, items: list(pool.map(fn, items, chunksize=1 if name in ONE else 16)), pool.shutdown


def metaflow():
    run = importlib.import_module("metaflow.multicore_utils").parallel_map
    return lambda fn, items: run(fn, items, max_parallel=workers), lambda: None


def go(once):
    for line in sys.stdin:
        if line.strip() != "go":
            break
        print(once(), flush=True)


if __name__ == "__main__":
    make = globals()[library]
    if name == "start":

        def once():
            begun = time.perf_counter()
            run, end = make()
            run(identity, [0] * workers)
            took = (time.perf_counter() - begun) * 1000
            end()
            return took

        go(once)
    else:
        fn, items_of, per = TASKS[name]
        items = items_of()
        if per:
            items = items[: MOST.get(library, per)]
        run, end = make()

        def once():
            begun = time.perf_counter()
            results = run(fn, items)
            took = (time.perf_counter() - begun) * 1000
            assert len(results) == len(items)
            return took / len(items) * per if per else took

        go(once)
        end()
