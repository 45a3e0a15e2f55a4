"""Waits for a task on the last worker for ever; says by a file that it has begun."""
import sys
import time

from distributed import Client, Event


def wait():
    Event("begun").set()
    time.sleep(3600)


if __name__ == "__main__":
    with Client() as client:
        future = client.submit(wait, workers=[sys.argv[1]], allow_other_workers=False)
        Event("begun").wait()
        open("hangs", "w").close()
        future.result()
