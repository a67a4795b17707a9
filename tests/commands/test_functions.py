"""`ss.sweep` as a stranger uses it: any function, from any place."""

import functools
import subprocess
import sys

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra

import seedspread as ss
from seedspread.config.compose import CONF
from seedspread.records.study import Study


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def quick(train, seeds=range(3), **more):
    return ss.sweep(train, seeds, **{"jobs": 1, "report": False, **more})


def draw(seed, scale=1.0):
    return {"loss": scale * float(np.random.rand()), "seed": seed}


class Trainer:
    def __init__(self, lr):
        self.lr = lr

    def __call__(self, seed):
        return {"loss": self.lr + seed}

    def fit(self, seed):
        return {"loss": self.lr * seed}


# What can be called


def test_workers_and_this_process_give_the_same_scores():
    one, two = quick(draw, study="one"), quick(draw, study="two", jobs=2)
    assert one.final.tolist() == two.final.tolist() and len(set(one.final)) == 3
    assert one.study.digest == two.study.digest


@pytest.mark.parametrize(
    "train, study, final",
    [
        (Trainer(0.5), "Trainer", [0.5, 1.5, 2.5]),
        (Trainer(0.5).fit, "fit", [0, 0.5, 1]),
        (functools.partial(Trainer.fit, Trainer(2)), "fit", [0, 2, 4]),
        (functools.partial(draw, scale=0), "draw", [0, 0, 0]),
    ],
)
def test_the_study_has_the_name_of_what_is_called(train, study, final):
    scores = quick(train)
    assert scores.name == study and scores.final.tolist() == final


def test_a_closure_over_arrays_is_another_study_once_they_change():
    data = np.arange(4.0)

    def train(seed):
        return {"loss": float(data.sum() + seed)}

    assert quick(train).final.tolist() == [6, 7, 8]
    data[0] = 9
    with pytest.raises(ss.InputError, match=r"of another function \(function.values.data: float64 array"):
        quick(train)


def test_an_edited_function_is_refused_in_words():
    quick(lambda seed: {"loss": seed}, study="mine")
    with pytest.raises(ss.InputError) as raised:
        quick(lambda seed: {"loss": seed + 1}, study="mine")
    said = str(raised.value)
    assert said.startswith("results/mine holds results of another function (function.source.")
    assert said.endswith("Results of two functions are kept apart: name this one, for example study=mine_2")


def test_a_script_without_a_guard_needs_none(tmp_path):
    (tmp_path / "mine.py").write_text(
        "import seedspread as ss\n"
        "import numpy as np\n"
        "print('once')\n"
        "DATA = np.arange(3)\n"
        "def train(seed):\n"
        "    return float(np.random.rand() + DATA.sum())\n"
        "print(ss.sweep(train, seeds=range(3), jobs=2, report=False).final)\n"
    )
    ran = subprocess.run([sys.executable, "mine.py"], capture_output=True, text=True, check=True)
    assert ran.stdout.count("once") == 1 and "train, 3 seeds: score 3." in ran.stdout


def test_an_interactive_shell_and_what_it_says_next():
    typed = (
        "import seedspread as ss\n"
        "def train(seed): return {'loss': seed + 0.5}\n\n"
        "ss.sweep(train, range(3), jobs=2, report=False)\n"
        "def train(seed): return {'loss': seed + 1.5}\n\n"
        "ss.sweep(train, range(3), jobs=2, report=False)\n"
    )
    ran = subprocess.run([sys.executable, "-i"], input=typed, capture_output=True, text=True, check=False)
    assert "<train: 3 seeds, loss 1.5 ± 1.0>" in ran.stdout and "of another function" in ran.stderr


def test_a_hydra_application_may_sweep():
    with initialize_config_dir(CONF, version_base="1.3"):
        theirs = GlobalHydra.instance().hydra
        assert quick(lambda seed: {"loss": seed}, study="inner").final.tolist() == [0, 1, 2]
        assert GlobalHydra.instance().hydra is theirs and compose("run").seed == 0


# What it draws


def test_torch_is_seeded_also_where_the_function_imports_it(tmp_path):
    """The first seed of each process imports torch, the others find it there."""
    (tmp_path / "lazy.py").write_text(
        "import seedspread as ss\n"
        "def train(seed):\n"
        "    import torch\n"
        "    return {'loss': torch.rand(1, dtype=torch.float64).item()}\n"
        "print(ss.sweep(train, seeds=range(2), jobs=1, report=False).final.tolist())\n"
    )
    ran = subprocess.run([sys.executable, "lazy.py"], capture_output=True, text=True, check=True)
    here = quick(lambda seed: {"loss": torch.rand(1, dtype=torch.float64).item()}, range(2), study="here")
    assert ran.stdout.splitlines()[-1] == str(here.final.tolist())


# What goes wrong


@pytest.mark.parametrize(
    "result, says",
    [
        (None, "no metric was recorded: return {'accuracy': 0.93}"),
        ("good", "the function returns a str: a dict of metrics is needed"),
        ((0.1, 0.2), "the function returns a tuple"),
        ({"loss": 1.0, "name": "good"}, "name='good': a metric is a number"),
        ({"accuracy": 93.5}, 'accuracy is not between 0 and 1; of percent type metric="accuracy", unit="percent"'),
    ],
)
def test_what_is_no_metric(result, says):
    with pytest.raises(ss.InputError) as raised:
        quick(lambda seed: result, study="mine")
    assert says in str(raised.value)


@pytest.mark.parametrize(
    "given, says",
    [
        ({"seeds": 5}, r"seeds=5: several are named, for example seeds=range\(20\) or seeds=\[5\]"),
        ({"seeds": []}, "seeds: none are named"),
        ({"seeds": [0.5]}, "seeds=0.5: a seed is a whole number"),
        ({"seeds": [True]}, "seeds=True: a seed is a whole number"),
        ({"unit": "percent"}, 'unit="percent": name the metric as well, for example metric="rmse"'),
        ({"direction": "min"}, 'direction="min": name the metric as well'),
        ({"metric": "rmse"}, "metric=rmse: no rmse was recorded; recorded are loss"),
        ({"metric": "loss", "direction": "up"}, 'direction="up": choose one of'),
        ({"executor": "k8s"}, "executor=k8s: there is no such choice; choose one of local, ray, slurm"),
        ({"settings": "timeout=3s"}, "settings: timeout=3s is of programs"),
        ({"settings": ["fail_fats=3"]}, "'fail_fats': there is no such key; did you mean fail_fast"),
        ({"study": "a/b"}, "study=a/b: a study is the name of one folder"),
        ({"study": None}, "name the study of a lambda"),
        ({"jobs": 0}, "jobs=0: a whole number of at least 1"),
    ],
)
def test_bad_arguments(tmp_path, given, says):
    with pytest.raises(ss.InputError, match=says):
        quick(lambda seed: {"loss": seed}, **{"study": "mine", **given})
    assert not list(tmp_path.rglob("*.json"))


def test_whole_numbers_of_numpy_are_seeds():
    assert quick(lambda seed: {"loss": seed}, np.arange(2), study="mine").final.tolist() == [0, 1]


def test_seeds_that_fail_and_the_rest_are_recorded(capsys):
    def train(seed):
        if seed == 1:
            raise ValueError("bad\nluck")
        if seed == 2:
            sys.exit(3)
        return {"loss": float("nan") if seed == 3 else seed}

    with pytest.raises(ss.InputError, match="train: 2 of 5 seeds failed"):
        quick(train, range(5))
    records = Study.load("results/train").scan().records
    assert [str(record.reason) for record in records.values() if record.reason] == [
        "ValueError: bad luck", "SystemExit: 3", "the last loss was not finite",
    ]  # fmt: skip
    assert "train, 2 seeds: loss" in capsys.readouterr().out


def test_a_first_seed_that_fails_leaves_the_others_to_a_named_metric():
    def train(seed):
        return {"loss": 1 / seed}

    with pytest.raises(ss.InputError) as raised:
        quick(train)
    said = str(raised.value)
    assert said.startswith("seed 0 failed: ZeroDivisionError") and said.endswith('run the others: metric="NAME"')
    with pytest.raises(ss.InputError, match="1 of 3 seeds failed"):
        quick(train, metric="loss")
    assert ss.Scores.of(Study.load("results/train")).final.tolist() == [1, 0.5]


def test_equal_scores_are_asked_about(capsys):
    quick(lambda seed: {"loss": 1.0}, study="equal")
    assert "all 3 seeds score exactly the same: does what they run draw from its seed?" in capsys.readouterr().out
    quick(lambda seed: {"loss": seed}, study="other")
    quick(lambda seed: {"loss": 1.0}, [0], study="single")
    assert "exactly the same" not in capsys.readouterr().out
