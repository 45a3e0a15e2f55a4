"""Ray Train on handwritten digits: DistributedDataParallel over gloo, one worker on each Ray node."""
import argparse
import gzip
import json
import os
import signal
import tempfile

import numpy as np
import ray
import ray.train
import torch
from ray.train import Checkpoint, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchConfig, TorchTrainer, prepare_model
from torch import nn


def network():
    return nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 10))


def train(config):
    """One worker: its share of each epoch's digits; the first one keeps a checkpoint after every epoch."""
    torch.set_num_threads(1)
    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    rows = torch.tensor(ray.get(config["rows"]))
    pixels, labels = rows[:, :64].float() / 16, rows[:, 64]
    torch.manual_seed(0)
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    first = 0
    if checkpoint := ray.train.get_checkpoint():  # After a loss, training goes on from here.
        with checkpoint.as_directory() as folder:
            kept = torch.load(os.path.join(folder, "model.pt"))
        model.load_state_dict(kept["model"])
        optimizer.load_state_dict(kept["optimizer"])
        first = kept["epoch"] + 1
    parallel = prepare_model(model)
    for epoch in range(first, config["epochs"]):
        if config["lose"] and first == 0 and epoch == config["epochs"] // 2 and rank == world - 1:
            ray.train.get_all_reported_checkpoints()  # Until Ray has noted the last one.
            os.kill(os.getpid(), signal.SIGKILL)  # As the kernel does when memory runs out.
        order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(epoch))
        total = 0.0
        steps = order[rank::world].split(16)
        for batch in steps:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(parallel(pixels[batch]), labels[batch])
            loss.backward()
            optimizer.step()
            total += loss.item()
        metrics = {"epoch": epoch, "loss": total / len(steps), "world": world, "began": first}
        with tempfile.TemporaryDirectory() as folder:
            kept = None
            if rank == 0:
                state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}
                torch.save(state, os.path.join(folder, "model.pt"))
                kept = Checkpoint.from_directory(folder)
            ray.train.report(metrics, checkpoint=kept)  # Every worker must call it.


parser = argparse.ArgumentParser()
parser.add_argument("--data", required=True, help="rows of 64 pixels from 0 to 16, then the digit")
parser.add_argument("--storage", required=True, help="folder or URI that all nodes share")
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--lose", action="store_true", help="kill a worker half-way: it is made anew, and goes on")
args = parser.parse_args()

ray.init()  # finds the cluster of the gang in RAY_ADDRESS
with gzip.open(args.data, "rt") as file:
    digits = np.loadtxt(file, delimiter=",", dtype=np.int64)
held = np.arange(len(digits)) % 5 == 0
trainer = TorchTrainer(
    train,
    train_loop_config={"rows": ray.put(digits[~held]), "epochs": args.epochs, "lose": args.lose},
    torch_config=TorchConfig(backend="gloo", timeout_s=60),
    scaling_config=ScalingConfig(
        num_workers=len(ray.nodes()),
        use_gpu=False,
        resources_per_worker={"CPU": 1},
        placement_strategy="STRICT_SPREAD",
    ),
    run_config=RunConfig(name="digits", storage_path=args.storage, failure_config=FailureConfig(max_failures=1)),
)
result = trainer.fit()

model = network()
with result.checkpoint.as_directory() as folder:
    model.load_state_dict(torch.load(os.path.join(folder, "model.pt"))["model"])
test = torch.tensor(digits[held])
accuracy = (model(test[:, :64].float() / 16).argmax(1) == test[:, 64]).float().mean().item()
print(json.dumps({**result.metrics, "accuracy": accuracy, "checkpoint": result.checkpoint.path}))
