"""Waits for an actor on the last node for ever; says by a file, which its argument names, that it has begun."""
import sys
import time

import ray

ray.init()
last = len(ray.nodes()) - 1


@ray.remote(max_restarts=0, resources={f"gang_node_{last}": 0.1})
class Waiting:
    def begun(self):
        return True

    def wait(self):
        time.sleep(3600)


actor = Waiting.remote()
ray.get(actor.begun.remote())
open(sys.argv[1], "w").close()
ray.get(actor.wait.remote())
