"""Callbacks that make a seed go wrong, for the tests of sweeps."""

import os
import signal
import time
from pathlib import Path

import lightning as L

from seedspread.training.callbacks.seed_record import SeedRecord


def seed_of(trainer: L.Trainer) -> int:
    return next(c.header["seed"] for c in trainer.callbacks if isinstance(c, SeedRecord))


class Raise(L.Callback):
    """An exception in each of `seeds`, as long as `unless` does not exist."""

    def __init__(self, seeds: list[int], unless: str) -> None:
        self.seeds, self.unless = list(seeds), Path(unless)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if seed_of(trainer) in self.seeds and not self.unless.exists():
            raise RuntimeError("out of luck")


class Remove(L.Callback):
    """At the end of the first of `seeds` the record of `victim` is removed, once."""

    def __init__(self, seeds: list[int], victim: int, done: str) -> None:
        self.seeds, self.victim, self.done = list(seeds), victim, Path(done)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        recorder = next(c for c in trainer.callbacks if isinstance(c, SeedRecord))
        if recorder.header["seed"] in self.seeds and not self.done.exists():
            write = recorder.write

            def write_and_remove(*given: object) -> object:
                record = write(*given)
                self.done.write_text("")
                recorder.study.record_path(self.victim).unlink()
                return record

            recorder.write = write_and_remove


class Die(L.Callback):
    """SIGKILL in each of `seeds`, `times` times."""

    def __init__(self, seeds: list[int], times: int, count: str) -> None:
        self.seeds, self.times, self.count = list(seeds), times, Path(count)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        deaths = len(self.count.read_text()) if self.count.exists() else 0
        if seed_of(trainer) in self.seeds and deaths < self.times:
            self.count.write_text("x" * (deaths + 1))
            os.kill(os.getpid(), signal.SIGKILL)


class Wait(L.Callback):
    """Note the start of each seed in a file, and wait until another file exists."""

    def __init__(self, starts: str, until: str) -> None:
        self.starts, self.until = Path(starts), Path(until)

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        with self.starts.open("a") as file:
            file.write(f"{seed_of(trainer)}\n")
        while not self.until.exists():
            time.sleep(0.01)
