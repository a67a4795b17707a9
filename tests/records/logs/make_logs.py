"""Trains one small network from five seeds and lets Lightning, TensorBoard, W&B and MLflow write the same values.

    pip install lightning scikit-learn tensorboard wandb mlflow
    python tests/records/logs/make_logs.py        # writes the folders beside this file

lightning_logs/, tensorboard/ and mlflow.db.gz are as their loggers write them, the last one compressed. W&B exports CSV
on its server alone, so wandb_*.csv are made from the .wandb files that wandb wrote offline, in the layouts of its
exports: charts (`Step`, then `RUN - METRIC` with __MIN and __MAX for each run, every cell in quotes), the table of runs
(Name, State, Notes, User, Tags, Created, Runtime, Sweep, config, last values), and `run.history()` as pandas writes it
(_step, _runtime, _timestamp and the metrics). truth.json holds what the module logged, in double precision: TensorBoard
keeps single precision.
"""

import csv
import gzip
import json
import os
import shutil
import struct
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import lightning as L
import torch
from lightning.pytorch.loggers import CSVLogger, MLFlowLogger, TensorBoardLogger, WandbLogger
from lightning.pytorch.loggers.logger import DummyLogger
from sklearn.datasets import load_digits
from torch.nn.functional import cross_entropy

HERE = Path(__file__).parent
SEEDS, EPOCHS = range(5), 3
TEST = slice(1297, None)


class Source(DummyLogger):
    """The values at the source: for each metric the steps at which it was logged, and each value."""

    def __init__(self):
        super().__init__()
        self.curves = {}

    def log_metrics(self, metrics, step=None):
        for name, value in metrics.items():
            self.curves.setdefault(name, []).append((int(step), float(value)))


class Network(L.LightningModule):
    def __init__(self, hidden, lr, seed):
        super().__init__()
        self.save_hyperparameters()
        L.seed_everything(seed, verbose=False)
        self.net = torch.nn.Sequential(torch.nn.Linear(64, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, 10))

    def training_step(self, batch, _):
        loss = cross_entropy(self.net(batch[0]), batch[1])
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch, _):
        out = self.net(batch[0])
        self.log_dict(
            {"val_loss": cross_entropy(out, batch[1]), "val_acc": (out.argmax(1) == batch[1]).double().mean()}
        )

    def test_step(self, batch, _):  # noqa: PT019 - no test
        self.log("test_acc", (self.net(batch[0]).argmax(1) == batch[1]).double().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr, momentum=0.9)


def loaders(seed):
    x, y = load_digits(return_X_y=True)
    data = torch.utils.data.TensorDataset(torch.tensor(x) / 16, torch.tensor(y))
    train, test = (torch.utils.data.Subset(data, range(len(data))[part]) for part in (slice(1297), TEST))
    order = torch.Generator().manual_seed(seed)
    return (
        torch.utils.data.DataLoader(train, batch_size=64, shuffle=True, generator=order),
        torch.utils.data.DataLoader(test, batch_size=500),
    )


def train(seed, scratch):
    source = Source()
    wandb_logger = WandbLogger(name=f"run-{seed}", project="digits", save_dir=scratch, offline=True)
    loggers = [
        source,
        CSVLogger(HERE, name="lightning_logs", version=seed),
        TensorBoardLogger(HERE / "tensorboard", name=None, version=f"seed_{seed}"),
        MLFlowLogger("digits", run_name=f"run-{seed}", tracking_uri=f"sqlite:///{HERE}/mlflow.db"),
        wandb_logger,
    ]
    network, (fit, test) = Network(hidden=16, lr=0.1, seed=seed), loaders(seed)
    trainer = L.Trainer(
        max_epochs=EPOCHS,
        logger=loggers,
        log_every_n_steps=10,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(network, fit, test)
    trainer.test(network, test, verbose=False)
    config = dict(wandb_logger.experiment.config)
    wandb_logger.experiment.finish()
    return source.curves, config


def read_offline(file):
    """The history rows in a .wandb file: records of wandb's protocol buffers in the log format of LevelDB."""
    from wandb.proto import wandb_internal_pb2

    data, place, part, rows = file.read_bytes(), 7, b"", []
    while place + 7 <= len(data):
        if 32768 - place % 32768 < 7:  # the rest of a block is too short for a header
            place += 32768 - place % 32768
        length, kind = struct.unpack_from("<HB", data, place + 4)
        part += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # the whole of a record, or its last part
            record, part = wandb_internal_pb2.Record.FromString(part), b""
            items = record.history.item
            rows += (
                [{item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in items}]
                if items
                else []
            )
    return rows


def write_wandb(runs, configs):
    """The exports: `runs` are history rows by the name of the run."""
    own = ("_step", "_runtime", "_timestamp")
    for metric in ("val_loss", "val_acc"):
        steps = sorted({row["_step"] for rows in runs.values() for row in rows if metric in row})
        head = [
            f"{name} - {what}{end}" for name in runs for what in ("_step", metric) for end in ("", "__MIN", "__MAX")
        ]
        lines = []
        for step in steps:
            cells = []
            for rows in runs.values():
                row = next((row for row in rows if row["_step"] == step), {})
                cells += [row.get(what, "") for what in ("_step", metric) for _ in range(3)]
            lines.append([step, *cells])
        write_csv(f"wandb_chart_{metric}.csv", ["Step", *head], lines, csv.QUOTE_ALL)
    keys = list(next(iter(configs.values())))
    last = {name: {key: value for row in rows for key, value in row.items()} for name, rows in runs.items()}
    metrics = sorted(key for key in next(iter(last.values())) if key not in own)
    about = ["Name", "State", "Notes", "User", "Tags", "Created", "Runtime", "Sweep"]
    lines = []
    for name, values in last.items():
        created = datetime.fromtimestamp(values["_timestamp"] - values["_runtime"], UTC)
        stamp = created.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        first = [name, "finished", "-", "somebody", "", stamp, round(values["_runtime"]), ""]
        lines.append([*first, *(configs[name][key] for key in keys), *(values[key] for key in metrics)])
    write_csv("wandb_runs.csv", [*about, *keys, *metrics], lines, csv.QUOTE_ALL)
    names = [*sorted({key for rows in runs.values() for row in rows for key in row if key not in own}), *own]
    lines = [
        [i, *(row.get(key, "") for key in names), name] for name, rows in runs.items() for i, row in enumerate(rows)
    ]
    write_csv("wandb_history.csv", ["", *names, "name"], lines, csv.QUOTE_MINIMAL)


def write_csv(name, head, lines, quoting):
    with (HERE / name).open("w", newline="") as file:
        csv.writer(file, quoting=quoting, lineterminator="\n").writerows([head, *lines])


def main():
    os.environ |= {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_DISABLE_CODE": "true"}
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    for old in ("lightning_logs", "tensorboard", "mlflow.db", "mlruns"):
        shutil.rmtree(HERE / old, ignore_errors=True)
        (HERE / old).unlink(missing_ok=True) if (HERE / old).is_file() else None
    truth, configs, histories = {}, {}, {}
    with tempfile.TemporaryDirectory() as scratch:
        for seed in SEEDS:
            truth[seed], configs[f"run-{seed}"] = train(seed, scratch)
        for file in sorted(Path(scratch).glob("wandb/offline-run-*/*.wandb"), key=lambda path: path.stat().st_mtime):
            histories[f"run-{len(histories)}"] = read_offline(file)
    write_wandb(histories, configs)
    (HERE / "mlflow.db.gz").write_bytes(gzip.compress((HERE / "mlflow.db").read_bytes(), mtime=0))
    (HERE / "mlflow.db").unlink()
    shutil.rmtree(HERE / "mlruns", ignore_errors=True)
    (HERE / "truth.json").write_text(json.dumps(truth) + "\n")


if __name__ == "__main__":
    sys.exit(main())
