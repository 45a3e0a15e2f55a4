"""Asks every worker for its node."""
import os

from distributed import Client


def node():
    return int(os.environ["GANGFLOW_NODE"])


if __name__ == "__main__":
    with Client() as client:
        print(sorted(client.run(node).values()))
