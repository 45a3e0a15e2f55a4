"""A job that tells a line, waits until somebody has seen it, and ends with 7."""
import os
import sys
import time

import ray

ray.init()
print("first line of the job", os.environ["OF_THE_JOB"], flush=True)
for _ in range(600):
    if os.path.exists(sys.argv[1]):
        sys.exit(7)
    time.sleep(0.1)
