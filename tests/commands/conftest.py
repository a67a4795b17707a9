"""Studies that commands compare."""

import numpy as np
import pytest

from seedspread.records.study import Study
from tests.synthetic import CONFIG, add_seed


@pytest.fixture
def made(tmp_path):
    def make(name, accuracies, *, first=0, data="d1", torch="2.14.1", **config):
        study = Study.open(tmp_path / "results" / name, {**CONFIG, "optimizer": {"lr": 0.1}, **config})
        for seed, accuracy in enumerate(accuracies, start=first):
            add_seed(study, seed, accuracy, torch=torch, data_sha256=data)
        return study

    return make


@pytest.fixture
def two(made):
    rng = np.random.default_rng(0)
    made("slow", rng.normal(0.8, 0.015, 20))
    return made("fast", rng.normal(0.84, 0.02, 20), optimizer={"lr": 0.2}, torch="2.13.0")
