from metaflow import FlowSpec, parallel, step


class Gang(FlowSpec):
    @step
    def start(self):
        self.next(self.meet, num_parallel=4)

    @parallel
    @step
    def meet(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Gang()
