"""One network on scikit-learn's digits, whole batches, as a function and as a program.

It draws its weights from the stream `init` and nothing else, as does `one_module.py`, a Lightning module: so all give
the same scores, to the last bit.
"""

import sys

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import cross_entropy

import seedspread as ss

EPOCHS = 5
TRAIN = 1297  # the other 500 validate


def load():
    pixels, labels = load_digits(return_X_y=True)
    return torch.tensor(pixels / 16, dtype=torch.float32), torch.tensor(labels)


def build():
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def choose_optimizer(network):
    return torch.optim.SGD(network.parameters(), lr=1.0)


def score(network, pixels, labels):
    return (network(pixels).argmax(1) == labels).float().mean()


def train(seed):
    """A plain loop: yields the metrics of each epoch."""
    pixels, labels = load()
    with ss.seeded(ss.streams(seed).init):
        network = build()
    optimizer = choose_optimizer(network)
    for _ in range(EPOCHS):
        optimizer.zero_grad()
        cross_entropy(network(pixels[:TRAIN]), labels[:TRAIN]).backward()
        optimizer.step()
        with torch.no_grad():
            yield {"val/acc": score(network, pixels[TRAIN:], labels[TRAIN:]).item()}


def main(seed: int, way: str) -> None:
    """A program, which records or prints."""
    for epoch, metrics in enumerate(train(seed)):
        if way == "record":
            ss.record(epoch=epoch, **metrics)
        else:
            print(f"epoch {epoch}: accuracy {metrics['val/acc']!r}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
