from metaflow import FlowSpec, step


class Foreach(FlowSpec):
    @step
    def start(self):
        self.items = list(range(200))
        self.next(self.item, foreach="items")

    @step
    def item(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Foreach()
