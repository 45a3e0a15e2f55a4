"""An ordinary DeepSpeed script; it knows nothing of gangflow. Learns to write Python from Python's own library."""

import argparse
import json
import os
import pathlib
import time

import deepspeed
import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--local_rank", type=int, default=-1)
parser.add_argument("--steps", type=int, default=60)
parser = deepspeed.add_config_arguments(parser)
args = parser.parse_args()

LENGTH, WIDTH, LAYERS = 64, 64, 2


class Writer(nn.Module):
    """A transformer over bytes: what comes next?"""

    def __init__(self):
        super().__init__()
        self.byte = nn.Embedding(128, WIDTH)
        self.place = nn.Embedding(LENGTH, WIDTH)
        layer = nn.TransformerEncoderLayer(WIDTH, 4, 4 * WIDTH, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.next = nn.Linear(WIDTH, 128)

    def forward(self, text):
        length = text.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(length, device=text.device)
        x = self.byte(text) + self.place(torch.arange(length, device=text.device))
        return self.next(self.layers(x, mask=mask, is_causal=True))


torch.manual_seed(0)
text = pathlib.Path(argparse.__file__).read_bytes()
data = torch.tensor([byte & 127 for byte in text])
model = Writer()
engine, _, _, _ = deepspeed.initialize(args=args, model=model, model_parameters=model.parameters())
rank, world = torch.distributed.get_rank(), torch.distributed.get_world_size()
draw = torch.Generator().manual_seed(1 + rank)
batch = engine.train_micro_batch_size_per_gpu()
losses, began = [], time.monotonic()
for step in range(args.steps):
    starts = torch.randint(len(data) - LENGTH - 1, (batch,), generator=draw)
    pieces = torch.stack([data[at : at + LENGTH + 1] for at in starts]).to(engine.device)
    loss = nn.functional.cross_entropy(engine(pieces[:, :-1]).flatten(0, 1), pieces[:, 1:].flatten())
    engine.backward(loss)
    engine.step()
    total = loss.detach().clone()
    torch.distributed.all_reduce(total)
    losses.append(total.item() / world)
    if rank == 0 and step % 20 == 0:
        print("step %d: loss %.3f" % (step, losses[-1]), flush=True)
if rank == 0:
    result = {
        "world": world,
        "stage": engine.zero_optimization_stage(),
        "steps": args.steps,
        "first": round(losses[0], 4),
        "last": round(sum(losses[-5:]) / 5, 4),
        "seconds": round(time.monotonic() - began, 1),
    }
    print("loss %(first)s -> %(last)s by %(world)d ranks in %(seconds)s s" % result, flush=True)
    with open(os.path.join(os.environ["GANGFLOW_OUTPUT_DIR"], "result.json"), "w") as file:
        json.dump(result, file)
