"""One rank of the training: DistributedDataParallel over gloo, on the digits that are not held out."""

import argparse
import csv
import gzip
import json
import os
import time
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

parser = argparse.ArgumentParser()
parser.add_argument("--data", required=True, help="rows of 64 pixels from 0 to 16, then the digit")
parser.add_argument("--hold-out-every", type=int, required=True, help="every n-th row is kept for the evaluation")
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--batch-size", type=int, default=16, help="rows a step on each rank")
parser.add_argument("--learning-rate", type=float, default=0.1)
args = parser.parse_args()

torch.set_num_threads(1)  # The ranks share one machine, and the matrices are small.
dist.init_process_group("gloo")
rank, world_size = dist.get_rank(), dist.get_world_size()

with gzip.open(args.data, "rt") as file:
    rows = [[int(value) for value in row] for row in csv.reader(file)]
rows = torch.tensor([row for index, row in enumerate(rows) if index % args.hold_out_every != 0])
pixels, labels = rows[:, :64].float() / 16, rows[:, 64]

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 10))
parallel = DistributedDataParallel(model)
optimizer = torch.optim.SGD(parallel.parameters(), lr=args.learning_rate, momentum=0.9, weight_decay=1e-4)
loss_of = nn.CrossEntropyLoss()

started = time.monotonic()
losses = []
share = len(rows) // world_size
for epoch in range(args.epochs):
    # All ranks shuffle alike, and each takes its own equal share.
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(epoch))
    mine = order[rank * share : (rank + 1) * share]
    total = torch.zeros(1)
    steps = mine.split(args.batch_size)
    for batch in steps:
        optimizer.zero_grad()
        loss = loss_of(parallel(pixels[batch]), labels[batch])
        loss.backward()
        optimizer.step()
        total += loss.detach()
    total /= len(steps)
    dist.all_reduce(total)
    losses.append(total.item() / world_size)
    if rank == 0 and (epoch + 1) % 10 == 0:
        print(f"epoch {epoch + 1} loss {losses[-1]:.4f}")

if rank == 0:
    output = Path(os.environ["GANGFLOW_OUTPUT_DIR"])
    torch.save(model.state_dict(), output / "model.pt")
    # The same weights for readers without torch: float32, one matrix after the other.
    flat = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    (output / "weights.f32").write_bytes(bytes(flat.contiguous().view(torch.uint8).tolist()))
    metrics = {
        "worldSize": world_size,
        "rows": len(rows),
        "losses": losses,
        "seconds": time.monotonic() - started,
    }
    (output / "metrics.json").write_text(json.dumps(metrics))
dist.destroy_process_group()
