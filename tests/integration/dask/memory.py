"""Has one task take more memory than its worker may have, and wait with it."""
import time

from distributed import Client, Event


def take():
    Event("begun").set()
    held = []
    while True:
        if len(held) < 40:
            held.append(bytearray(b"x" * 20_000_000))
        time.sleep(0.2)


if __name__ == "__main__":
    with Client() as client:
        future = client.submit(take, workers=["node1"], allow_other_workers=False)
        Event("begun").wait()
        open("hangs", "w").close()
        future.result()
