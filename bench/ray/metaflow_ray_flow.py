import os

from metaflow import FlowSpec, Parameter, metaflow_ray, step
from metaflow_extensions.ray.plugins.datastore import DecoratorDatastore

# As shipped it refuses the local datastore, and with it to run on one machine.
root = os.path.join(os.environ["METAFLOW_DATASTORE_SYSROOT_LOCAL"], "ray")
DecoratorDatastore.get_storage_root = property(lambda self: root)


class Ray(FlowSpec):
    nodes = Parameter("nodes", type=int, default=2)

    @step
    def start(self):
        self.next(self.form, num_parallel=self.nodes)

    @metaflow_ray
    @step
    def form(self):
        print("all nodes are up", flush=True)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Ray()
