"""What tracing costs: CPU seconds of a step with and without it, and bytes of trace: `python -m benchmarks.audit`.

Three trainings as people write them, on one thread, alternately untraced and traced; the overhead is the median of the
pairs' ratios of CPU time, which other work on the machine moves less than the clock.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from seedspread.audit.tracer import Session

PAIRS = 7


class Pictures(Dataset):
    """32 by 32 pictures, cropped and flipped at random."""

    def __init__(self) -> None:
        self.x = torch.randint(0, 255, (512, 3, 40, 40), dtype=torch.uint8)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        top, left = torch.randint(0, 8, (2,)).tolist()
        x = self.x[i, :, top : top + 32, left : left + 32]
        x = x.flip(-1) if torch.rand(()) < 0.5 else x
        return (x.float() - 120) / 60, i % 10


def _conv(cin: int, cout: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU(), nn.MaxPool2d(2)
    )


def _train(net: nn.Module, loader: DataLoader) -> None:
    optimizer = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)
    for x, y in loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        optimizer.step()


def train_pictures() -> None:
    """A convolutional network, batches of 64: 8 steps."""
    layers = _conv(3, 32), _conv(32, 64), _conv(64, 128), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10)
    _train(nn.Sequential(*layers), DataLoader(Pictures(), 64, shuffle=True))


def train_table() -> None:
    """A perceptron on 100 columns, batches of 128: 64 steps."""
    data = torch.utils.data.TensorDataset(torch.randn(8192, 100), torch.randint(0, 10, (8192,)))
    net = nn.Sequential(
        nn.Linear(100, 512), nn.ReLU(), nn.Dropout(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    )
    _train(net, DataLoader(data, 128, shuffle=True))


def train_text() -> None:
    """A transformer of 4 layers and 2 M weights, 16 sequences of 64 tokens: 12 steps, without a loader."""
    layer = nn.TransformerEncoderLayer(192, 6, 768, batch_first=True)
    net = nn.Sequential(
        nn.Embedding(500, 192), nn.TransformerEncoder(layer, 4, enable_nested_tensor=False), nn.Linear(192, 500)
    )
    optimizer = torch.optim.AdamW(net.parameters())
    text = torch.randint(0, 500, (20_000,))
    for _ in range(12):
        starts = torch.randint(0, len(text) - 65, (16,)).tolist()
        x = torch.stack([text[i : i + 64] for i in starts])
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x).flatten(0, 1), x.flatten()).backward()
        optimizer.step()


def measure(train: Callable[[], None], level: str) -> tuple[float, float, float]:
    """Milliseconds of a step untraced, the overhead, and bytes of trace a step."""
    ratios, plain, size, steps = [], [], 0.0, 1
    train()  # warm
    for _ in range(PAIRS):
        torch.manual_seed(0)
        started = time.process_time()
        train()
        alone = time.process_time() - started
        with tempfile.TemporaryDirectory() as folder:
            session = Session(folder, level=level)
            session.start()
            torch.manual_seed(0)
            started = time.process_time()
            train()
            ratios.append((time.process_time() - started) / alone)
            session.stop()
            text = "".join(path.read_text() for path in Path(folder).iterdir())
            steps, size = text.count('\n["o"'), len(text)
        plain.append(alone / steps * 1000)
    return statistics.median(plain), statistics.median(ratios) - 1, size / steps


def main() -> None:
    """Print a row for each training."""
    torch.set_num_threads(1)
    print(f"{'training':<16}{'ms a step':>10}{'by step':>9}{'by module':>11}{'bytes a step':>14}")
    for train in (train_table, train_pictures, train_text):
        milliseconds, coarse, size = measure(train, "steps")
        _, fine, _ = measure(train, "modules")
        print(f"{train.__name__:<16}{milliseconds:>10.1f}{coarse:>9.1%}{fine:>11.1%}{size:>14.0f}", flush=True)


if __name__ == "__main__":
    main()
