"""Rank by rank what the arguments say: `RANK:VERB`. Others wait, as for a peer that has gone."""

import ctypes
import os
import signal
import sys
import time


def deep(text):
    raise ValueError(text)


rank = os.environ["RANK"]
plans = dict(argument.split(":", 1) for argument in sys.argv[1:] if ":" in argument)
verb = plans.get(rank, plans.get("*", "wait"))
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
print(f"rank {rank} has pid {os.getpid()}", flush=True)
if verb == "raise":
    deep("bad batch")
elif verb == "raise-when-asked":
    signal.sigwait([signal.SIGUSR1])
    deep("bad batch")
elif verb.startswith("exit"):
    print("leaving", file=sys.stderr)
    sys.exit(int(verb[4:]))
elif verb == "segfault":
    ctypes.string_at(0)
elif verb == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)
elif verb == "flood":
    for index in range(20_000):
        print(f"out {rank} {index}")
        print(f"err {rank} {index}", file=sys.stderr)
elif verb == "big":
    block = "".join(f"line {index:06d} {'x' * 986}\n" for index in range(1_000))
    for _ in range(50):
        sys.stdout.write(block)
elif verb == "chatter":
    while True:
        print(f"rank {rank} goes on", flush=True)
        time.sleep(0.001)
elif verb == "wait":
    time.sleep(600)
with open(os.path.join(os.environ["GANGFLOW_OUTPUT_DIR"], "made.txt"), "w") as file:
    file.write(f"by rank {rank}")
