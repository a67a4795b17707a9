"""`auto` and what the hardware has."""

import pytest
import torch

from seedspread.config import resolve
from seedspread.config.errors import InputError
from seedspread.config.resolve import resolve_precision


def test_auto_is_decided_by_what_the_hardware_has(monkeypatch):
    for fast, precision, layout in ((True, "bf16-mixed", "channels_last"), (False, "32-true", "contiguous")):
        monkeypatch.setattr(resolve, "has_fast_bf16", lambda _, fast=fast: fast)
        assert resolve.resolve_precision("auto", "cpu") == precision
        assert resolve.resolve_memory_format("auto", precision) == layout
    assert resolve.resolve_precision("32-true", "cpu") == "32-true"


def test_a_gpu_scores_five_training_batches_at_once_and_a_cpu_as_before(config, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(resolve, "has_fast_bf16", lambda _: True)
    sizes = {
        overrides: resolve.resolve_config(config(*overrides.split())).data.score_batch_size
        for overrides in (
            "experiment=cifar_short trainer=gpu",
            "experiment=digits trainer=gpu",
            "experiment=cifar_short trainer=cpu",
            "experiment=cifar_short trainer=gpu data.score_batch_size=300",
            "experiment=cifar_probe trainer=gpu",
        )
    }
    assert [*sizes.values()] == [2500, 500, 500, 300, 1000]


def test_fp16_that_lightning_would_replace_is_refused():
    with pytest.raises(InputError, match="trainer.precision=16-mixed: not on a CPU"):
        resolve_precision("16-mixed", "cpu")
    assert resolve_precision("16-mixed", "gpu") == "16-mixed"


def test_gpus_of_nvidia_and_amd_are_counted(config, monkeypatch, tmp_path):
    monkeypatch.setattr(resolve.shutil, "which", lambda name: None)
    monkeypatch.setattr(resolve, "GPU_DRIVERS", (str(tmp_path / "nvidia"), str(tmp_path / "kfd")))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert resolve.count_gpus(config()) == 0
    (tmp_path / "kfd").touch()  # ROCm
    assert resolve.count_gpus(config()) == 3 and resolve.count_gpus(config("trainer=cpu")) == 0


def test_seeds_at_once_are_set_or_as_many_as_the_place_has_room_for(config, monkeypatch):
    monkeypatch.setattr(resolve, "count_cores", lambda: 8)
    monkeypatch.setattr(resolve, "count_gpus", lambda cfg: 0)
    assert resolve.count_workers(config("threads=3")) == (2, 0) and resolve.count_workers(config("jobs=5")) == (5, 0)
    monkeypatch.setattr(resolve, "count_gpus", lambda cfg: 2)
    assert resolve.count_workers(config("workers_per_gpu=3")) == (6, 2)
    cluster = "executor=ray"
    assert resolve.count_workers(config(cluster)) == (None, 0) and resolve.count_workers(config(cluster, "jobs=4")) == (
        4,
        0,
    )
